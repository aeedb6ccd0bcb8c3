"""LangChain's results as paths, and the chosen path as LangChain's own result again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, UsageMetadata
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGeneration, ChatResult

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.report import report
from adaptive_middleware.sampling.reading import Reading
from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Outcome, Path, ToolCall, Usage
from langchain_adaptive.requests import model_name


def result_paths(result: ChatResult, limit: int = 1) -> list[Path]:
    """A path for each of the first `limit` generations of one request; `raw` is the generation.

    Providers repeat the usage of the whole request on every generation. It is counted once: prompt
    tokens on the first path, completion tokens spread evenly over all of them.
    """
    generations = result.generations[:limit]
    total = usage_counts(usage_of(result))
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


def final_result(
    outcome: Outcome, results: list[ChatResult], readings: list[Reading], inner: BaseChatModel
) -> ChatResult:
    """The call's result: the chosen generation alone, with the usage of all requests and streams, and the report.

    A call that was only passed through keeps its result as it is. Otherwise the message is a copy;
    the framework's object that the sample came with is not changed.
    """
    source, generation = _source(outcome.chosen, results, inner)
    details = report(outcome)
    if details is None and len(results) + len(readings) == len(source.generations) == 1:
        return source
    message = generation.message
    update: dict[str, Any] = {}
    if isinstance(message, AIMessage):
        update["usage_metadata"] = _total(results, readings)
    if details is not None:
        update["response_metadata"] = {**message.response_metadata, "adaptive": details}
    copy = ChatGeneration(
        message=message.model_copy(update=update), generation_info=generation.generation_info
    )
    return ChatResult(generations=[copy], llm_output=_llm_output(source, results, inner))


def _source(
    chosen: Path, results: list[ChatResult], inner: BaseChatModel
) -> tuple[ChatResult, ChatGeneration]:
    """The chosen generation, and the result it came in; one that was streamed came alone.

    An answer that was closed before its end has none: then it is its text, and why it ended.
    """
    for result in results:
        for generation in result.generations:
            if generation is chosen.raw:
                return result, generation
    own = chosen.raw
    if own is None and chosen.error is None and not chosen.done:
        info = {"finish_reason": chosen.finish_reason, "model_name": model_name(inner)}
        own = ChatGeneration(message=AIMessage(chosen.text, response_metadata=info))
    if isinstance(own, ChatGeneration):
        return ChatResult(generations=[own]), own
    if chosen.error is not None:
        message = f"the chosen answer failed: {chosen.error}"
        raise SamplerError(message)
    message = (
        f"a path was chosen whose raw is {chosen.raw!r}, not a generation: return a path as it was drawn"
    )
    raise SamplerError(message)


def _path(generation: ChatGeneration, usage: Usage) -> Path:
    message = generation.message
    info = generation.generation_info or {}
    if message.response_metadata:
        info = {**message.response_metadata, **info}
    return Path(
        steps=tuple(split_steps(str(message.text))),
        finish_reason=info.get("finish_reason") or info.get("stop_reason"),
        tool_calls=called_tools(message),
        logprobs=token_logprobs(info["logprobs"]) if "logprobs" in info else None,
        usage=usage,
        raw=generation,
    )


def called_tools(message: BaseMessage) -> tuple[ToolCall, ...]:
    """The tool calls of an answer."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return tuple([ToolCall(call["name"], call["args"], call["id"]) for call in calls])


def token_logprobs(given: object) -> tuple[float, ...] | None:
    """Token log-probabilities of OpenAI's form; None when there are none."""
    tokens = given.get("content") if isinstance(given, Mapping) else None
    if not tokens:
        return None
    return tuple(min(float(token["logprob"]), 0.0) for token in tokens)


def usage_counts(given: UsageMetadata | None) -> Usage:
    """One request's usage as the middleware counts; nothing is known without the provider's own."""
    if given is None:
        return Usage(requests=1)
    cached = given.get("input_token_details", {}).get("cache_read", 0)
    return Usage(given["input_tokens"], given["output_tokens"], cached, requests=1)


def _total(results: list[ChatResult], readings: list[Reading]) -> UsageMetadata | None:
    known = [usage_of(result) for result in results]
    known += [_streamed(reading) for reading in readings if reading.started]
    total: UsageMetadata | None = None
    for usage in known:
        if usage is not None:
            total = add_usage(total, usage)
    return total


def _streamed(reading: Reading) -> UsageMetadata:
    """What one stream cost: as its whole message says, or as it was counted when it was closed before its end."""
    counted, last = reading.usage(), reading.pieces[-1].raw
    said = usage_of(ChatResult(generations=[last])) if isinstance(last, ChatGeneration) else None
    if said is not None and usage_counts(said) == counted:
        return said
    prompt, completion = counted.prompt_tokens, counted.completion_tokens
    usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
    if counted.cached_tokens:
        usage["input_token_details"] = {"cache_read": counted.cached_tokens}
    return usage


def _llm_output(source: ChatResult, results: list[ChatResult], inner: BaseChatModel) -> dict[str, Any] | None:
    """The provider's own fields as the chosen sample has them, with its token usage summed over all."""
    if source.llm_output is None or "token_usage" not in source.llm_output:
        return source.llm_output
    combined = inner._combine_llm_outputs([result.llm_output for result in results])  # noqa: SLF001
    usage = combined.get("token_usage", source.llm_output["token_usage"])
    return {**source.llm_output, "token_usage": usage}
