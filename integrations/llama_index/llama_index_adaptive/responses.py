"""One streamed answer: LlamaIndex's responses as pieces, and at the end the response that a blocking call returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, TextBlock

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.types import ToolCall
from llama_index_adaptive.paths import finish_reason, has_choices, token_logprobs, usage, written

Response = TypeVar("Response", ChatResponse, CompletionResponse)


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
    """The last response of a chat's stream with all of its `text`, which some models' messages do not repeat."""
    message = response.message
    blocks = [block for block in message.blocks if not isinstance(block, TextBlock)]
    if written(response) != text and len(message.blocks) - len(blocks) <= 1:
        message = message.model_copy(update={"blocks": [TextBlock(text=text), *blocks]})
    return response.model_copy(update={"message": message, "delta": None})


def whole_completion(response: CompletionResponse, text: str) -> CompletionResponse:
    """The last response of a completion's stream with all of its `text`."""
    return response.model_copy(update={"text": text, "delta": None})
