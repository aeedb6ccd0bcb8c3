"""LangChain's results as paths, and the chosen path as LangChain's own result again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, UsageMetadata
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGeneration, ChatResult

from adaptive_middleware.report import report
from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Outcome, Path, ToolCall, Usage


def result_paths(result: ChatResult, limit: int = 1) -> list[Path]:
    """A path for each of the first `limit` generations of one request; `raw` is the generation.

    Providers repeat the usage of the whole request on every generation. It is counted once: prompt
    tokens on the first path, completion tokens spread evenly over all of them.
    """
    generations = result.generations[:limit]
    total = _usage(usage_of(result))
    if len(generations) == 1:
        return [_path(generations[0], total)]
    share, extra = divmod(total.completion_tokens, len(generations) or 1)
    first = Usage(total.prompt_tokens, share + extra, total.cached_tokens, requests=1)
    others = Usage(completion_tokens=share)
    return [_path(one, others if k else first) for k, one in enumerate(generations)]


def usage_of(result: ChatResult) -> UsageMetadata | None:
    """What one request cost, in the framework's terms; None when the provider does not say."""
    messages = [generation.message for generation in result.generations]
    known = (message.usage_metadata for message in messages if isinstance(message, AIMessage))
    return next((usage for usage in known if usage is not None), None)


def final_result(outcome: Outcome, results: list[ChatResult], inner: BaseChatModel) -> ChatResult:
    """The call's result: the chosen generation alone, with the usage of all requests and the report.

    A call that was only passed through keeps its result as it is. Otherwise the message is a copy;
    the framework's object that the sample came with is not changed.
    """
    source, generation = _source(outcome.chosen, results)
    details = report(outcome)
    if details is None and len(results) == len(source.generations) == 1:
        return source
    message = generation.message
    update: dict[str, Any] = {}
    if isinstance(message, AIMessage):
        update["usage_metadata"] = _total(results)
    if details is not None:
        update["response_metadata"] = {**message.response_metadata, "adaptive": details}
    copy = ChatGeneration(
        message=message.model_copy(update=update), generation_info=generation.generation_info
    )
    return ChatResult(generations=[copy], llm_output=_llm_output(source, results, inner))


def _source(chosen: Path, results: list[ChatResult]) -> tuple[ChatResult, ChatGeneration]:
    pairs = ((result, generation) for result in results for generation in result.generations)
    return next((result, generation) for result, generation in pairs if generation is chosen.raw)


def _path(generation: ChatGeneration, usage: Usage) -> Path:
    message = generation.message
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    info = generation.generation_info or {}
    if message.response_metadata:
        info = {**message.response_metadata, **info}
    return Path(
        steps=tuple(split_steps(str(message.text))),
        finish_reason=info.get("finish_reason") or info.get("stop_reason"),
        tool_calls=tuple([ToolCall(call["name"], call["args"], call["id"]) for call in calls]),
        logprobs=_logprobs(info["logprobs"]) if "logprobs" in info else None,
        usage=usage,
        raw=generation,
    )


def _logprobs(given: object) -> tuple[float, ...] | None:
    """Token log-probabilities of OpenAI's form; None when there are none."""
    tokens = given.get("content") if isinstance(given, Mapping) else None
    if not tokens:
        return None
    return tuple(min(float(token["logprob"]), 0.0) for token in tokens)


def _usage(given: UsageMetadata | None) -> Usage:
    if given is None:
        return Usage(requests=1)
    cached = given.get("input_token_details", {}).get("cache_read", 0)
    return Usage(given["input_tokens"], given["output_tokens"], cached, requests=1)


def _total(results: list[ChatResult]) -> UsageMetadata | None:
    total: UsageMetadata | None = None
    for result in results:
        usage = usage_of(result)
        if usage is not None:
            total = add_usage(total, usage)
    return total


def _llm_output(source: ChatResult, results: list[ChatResult], inner: BaseChatModel) -> dict[str, Any] | None:
    """The provider's own fields as the chosen sample has them, with its token usage summed over all."""
    if source.llm_output is None or "token_usage" not in source.llm_output:
        return source.llm_output
    combined = inner._combine_llm_outputs([result.llm_output for result in results])  # noqa: SLF001
    usage = combined.get("token_usage", source.llm_output["token_usage"])
    return {**source.llm_output, "token_usage": usage}
