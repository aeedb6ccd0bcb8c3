"""One streamed answer: LangChain's chunks as pieces, and all of them as LangChain's own generation again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Piece
from langchain_adaptive.paths import called_tools, token_logprobs, usage_counts

_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason")


@dataclass(slots=True)
class Chunks:
    """The chunks of one answer as they come; at the end, their sum.

    LangChain adds the usage of chunks up, so a piece's usage is the sum so far. Partial tool calls are no pieces:
    the whole ones come with the last piece, whose `raw` is the generation.
    """

    seen: list[ChatGenerationChunk] = field(default_factory=list)
    usage: UsageMetadata | None = None
    reason: str | None = None

    def piece(self, chunk: ChatGenerationChunk) -> Piece:
        """The next chunk as a piece."""
        self.seen.append(chunk)
        message, info = chunk.message, _info(chunk)
        self.reason = _reason(info, message) or self.reason
        counts = None
        if isinstance(message, AIMessage) and message.usage_metadata is not None:
            self.usage = add_usage(self.usage, message.usage_metadata)
            counts = usage_counts(self.usage)
        return Piece(
            str(message.text),
            logprobs=token_logprobs(info.get("logprobs")) or (),
            finish_reason=self.reason,
            usage=counts,
            raw=chunk,
        )

    def end(self, model: str) -> Piece:
        """The last piece, when the stream of `model` has ended; raises `SamplerError` if there were no chunks.

        A stream that says nothing of its provider has no reason to give: its end is the answer's end. A provider's
        stream that ends without a reason was cut off, and the piece says none.
        """
        if not self.seen:
            message = f"{model} returned a stream without chunks"
            raise SamplerError(message)
        generation = merged(self.seen)
        provider = generation.message.response_metadata.get("model_provider")
        reason = self.reason or ("stop" if provider is None else None)
        return Piece(finish_reason=reason, tool_calls=called_tools(generation.message), raw=generation)


def merged(chunks: Sequence[ChatGenerationChunk]) -> ChatGeneration:
    """The generation that the chunks add up to, as `invoke` returns it for a model that streams."""
    last = chunks[-1].message
    closing: list[ChatGenerationChunk] = []
    if isinstance(last, AIMessageChunk) and last.chunk_position != "last":
        closing = [closing_chunk(last)]
    return generate_from_stream(iter([*chunks, *closing])).generations[0]


def closing_chunk(message: BaseMessage, **fields: Any) -> ChatGenerationChunk:  # noqa: ANN401 - a message's fields
    """An empty last chunk for a stream of chunks like `message`; it is what makes partial tool calls whole."""
    content: str | list[str | dict[str, Any]] = "" if isinstance(message.content, str) else []
    return ChatGenerationChunk(message=AIMessageChunk(content=content, chunk_position="last", **fields))


def finish(pieces: Sequence[Piece]) -> object:
    """The generation of a whole answer: what its last piece carries."""
    return pieces[-1].raw


def _info(chunk: ChatGenerationChunk) -> Mapping[str, Any]:
    return {**chunk.message.response_metadata, **(chunk.generation_info or {})}


def _reason(info: Mapping[str, Any], message: object) -> str | None:
    """Why the answer ended, where this chunk says so: a provider's word, the status of OpenAI's responses, its place."""
    said = next((info[name] for name in _REASONS if info.get(name)), None)
    if said is None and info.get("status") == "incomplete":
        return "length"
    if said is None and isinstance(message, AIMessageChunk) and message.chunk_position == "last":
        return "stop"
    return None if said is None else str(said)
