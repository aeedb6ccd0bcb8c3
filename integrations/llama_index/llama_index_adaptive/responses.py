"""One streamed answer: LlamaIndex's responses as pieces, and at the end the response that a blocking call returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, TextBlock, ThinkingBlock

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.types import ToolCall
from llama_index_adaptive.paths import finish_reason, has_choices, token_logprobs, usage, written

Response = TypeVar("Response", ChatResponse, CompletionResponse)

_THINKING = "thinking_delta"
"""Where a streamed response says how its thoughts go on; LlamaIndex's agents read it there."""


class Whole(NamedTuple):
    """What the last piece of an answer carries: the whole response, which is no part of the model's stream."""

    response: ChatResponse | CompletionResponse


@dataclass(slots=True)
class Responses(Generic[Response]):
    """The responses of one answer as they come: each says how its text goes on, and repeats what it is so far.

    `whole` puts the text of all of them into the last one; `calls` reads the tool calls of that.
    """

    whole: Callable[[Response, str], Response]
    calls: Callable[[Response], tuple[ToolCall, ...]]
    last: Response | None = None
    text: str = ""
    reason: str | None = None
    gives_reasons: bool = False

    def piece(self, response: Response) -> Piece:
        """The next response as a piece."""
        new = written(response)[len(self.text) :] if response.delta is None else response.delta
        self.last, self.text = response, self.text + new
        self.reason = finish_reason(response) or self.reason
        self.gives_reasons = self.gives_reasons or has_choices(response)
        cost = usage(response)
        return Piece(
            new,
            logprobs=token_logprobs(response, new) or (),
            finish_reason=self.reason,
            usage=cost if cost.prompt_tokens or cost.completion_tokens else None,
            raw=response,
        )

    def end(self) -> Piece:
        """The last piece, when the stream has ended; raises `SamplerError` if nothing came.

        The end of a stream is the answer's end, unless the provider is one that gives reasons and gave none: then it
        was cut off.
        """
        if self.last is None:
            message = "the model returned a stream without responses"
            raise SamplerError(message)
        response = self.whole(self.last, self.text)
        reason = self.reason or (None if self.gives_reasons else "stop")
        return Piece(finish_reason=reason, tool_calls=self.calls(response), raw=Whole(response))


def finish(pieces: Sequence[Piece]) -> object:
    """The whole response, from the last piece."""
    last = pieces[-1].raw
    return last.response if isinstance(last, Whole) else None


def whole_chat(response: ChatResponse, text: str) -> ChatResponse:
    """The last response of a chat's stream with all of its `text`, which some models' messages do not repeat.

    The text takes the place of the message's own, or stands after its thoughts, which some providers want first.
    """
    message = response.message
    texts = [i for i, block in enumerate(message.blocks) if isinstance(block, TextBlock)]
    if written(response) != text and len(texts) <= 1:
        blocks = list(message.blocks)
        place = texts[0] if texts else len(list(takewhile(_is_thought, blocks)))
        blocks[place : place + len(texts)] = [TextBlock(text=text)]
        message = message.model_copy(update={"blocks": blocks})
    return response.model_copy(update={"message": message, "delta": None})


def whole_completion(response: CompletionResponse, text: str) -> CompletionResponse:
    """The last response of a completion's stream with all of its `text`."""
    return response.model_copy(update={"text": text, "delta": None})


def last_of_stream(response: Response, *, shown: bool) -> Response:
    """`response` as the last one of a stream; its deltas, of text and of thoughts, are nothing if that was `shown`, else all."""
    extra = {key: value for key, value in response.additional_kwargs.items() if key != _THINKING}
    thoughts = "" if shown else _thoughts(response)
    if thoughts:
        extra[_THINKING] = thoughts
    delta = "" if shown else written(response)
    return response.model_copy(update={"delta": delta, "additional_kwargs": extra})


def _thoughts(response: ChatResponse | CompletionResponse) -> str:
    blocks = response.message.blocks if isinstance(response, ChatResponse) else ()
    return "".join(block.content or "" for block in blocks if isinstance(block, ThinkingBlock))


def _is_thought(block: object) -> bool:
    return isinstance(block, ThinkingBlock)
