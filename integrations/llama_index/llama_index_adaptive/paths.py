"""Paths: a LlamaIndex response as the middleware sees it.

Providers put usage, finish reason and log-probabilities in different places of `raw`; what is not found
is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, LogProb
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM

from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Path, ToolCall, Usage

_PROMPT = ("prompt_tokens", "input_tokens", "prompt_token_count", "prompt_eval_count")
_COMPLETION = ("completion_tokens", "output_tokens", "candidates_token_count", "eval_count")
_CACHED = ("cached_tokens", "cache_read_input_tokens", "cached_content_token_count")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")


def chat_path(response: ChatResponse, llm: LLM) -> Path:
    """The path of a chat answer; `raw` is the response itself."""
    return _path(response, written(response), tool_calls(response, llm))


def completion_path(response: CompletionResponse) -> Path:
    """The path of a completion; `raw` is the response itself."""
    return _path(response, written(response), ())


def usage(response: ChatResponse | CompletionResponse) -> Usage:
    """Token counts from where providers put them: usage in `raw`, or in `additional_kwargs`.

    >>> usage(CompletionResponse(text="4", raw={"usage": {"input_tokens": 9, "output_tokens": 1}}))
    Usage(prompt_tokens=9, completion_tokens=1, cached_tokens=0, prm_tokens=0, requests=1, usd=None)
    """
    for source in (response.raw, response.additional_kwargs):
        counts = _first(source, "usage", "usage_metadata") or source
        prompt, completion = _count(counts, *_PROMPT), _count(counts, *_COMPLETION)
        if prompt or completion:
            cached = _count(counts, *_CACHED) or _count(_first(counts, *_DETAILS), *_CACHED)
            return Usage(prompt, completion, cached, requests=1)
    return Usage(requests=1)


def _path(response: ChatResponse | CompletionResponse, text: str, calls: tuple[ToolCall, ...]) -> Path:
    return Path(
        tuple(split_steps(text)),
        finish_reason=finish_reason(response),
        tool_calls=calls,
        logprobs=token_logprobs(response, text),
        usage=usage(response),
        raw=response,
    )


def written(response: ChatResponse | CompletionResponse) -> str:
    """The text of a response."""
    return response.text if isinstance(response, CompletionResponse) else response.message.content or ""


def tool_calls(response: ChatResponse, llm: LLM) -> tuple[ToolCall, ...]:
    """The tool calls of a chat answer, as its model reads them."""
    if not isinstance(llm, FunctionCallingLLM):
        return ()
    try:
        selections = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    except NotImplementedError:
        return ()
    return tuple(ToolCall(call.tool_name, call.tool_kwargs, call.tool_id) for call in selections)


def has_choices(response: ChatResponse | CompletionResponse) -> bool:
    """Whether a response is of OpenAI's form, whose last choice always says why it ended."""
    return _first(response.raw, "choices") is not None


def finish_reason(response: ChatResponse | CompletionResponse) -> str | None:
    """Why the answer ended, where the provider says so."""
    names = ("finish_reason", "stop_reason", "done_reason")
    reason = _first(_choice(response), *names) or _first(response.raw, *names)
    return reason if isinstance(reason, str) else None


def token_logprobs(response: ChatResponse | CompletionResponse, text: str) -> tuple[float, ...] | None:
    """Log-probabilities of the sampled tokens: the provider's own, or those that spell the text."""
    tokens = _first(_first(_choice(response), "logprobs"), "content")
    if isinstance(tokens, Sequence) and tokens:
        values = [_first(token, "logprob") for token in tokens]
        return tuple(_numbers(values)) if len(_numbers(values)) == len(values) else None
    return None if not response.logprobs else _spelled(response.logprobs, text)


def _spelled(alternatives: Sequence[Sequence[LogProb]], text: str) -> tuple[float, ...] | None:
    """The alternatives that spell `text` token by token, or None when that is not certain.

    LlamaIndex keeps the likeliest tokens of each place, among which the sampled one may be missing.
    """
    values, at = [], 0
    for place in alternatives:
        fitting = [option for option in place if option.token and text.startswith(option.token, at)]
        if len(fitting) != 1:
            return None
        values.append(fitting[0].logprob)
        at += len(fitting[0].token)
    return tuple(values) if at == len(text) else None


def _choice(response: ChatResponse | CompletionResponse) -> object:
    choices = _first(response.raw, "choices")
    return choices[0] if isinstance(choices, Sequence) and choices else None


def _first(source: object, *names: str) -> object:
    """The first of `names` that a provider's object or mapping has a value for."""
    for name in names:
        value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if value is not None:
            return value
    return None


def _count(source: object, *names: str) -> int:
    value = _first(source, *names)
    return value if isinstance(value, int) and value > 0 else 0


def _numbers(values: Sequence[object]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]
