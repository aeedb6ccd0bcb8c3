"""Replies of the provider: as answers, where they are completions, and as they came, where they are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.chunks import tokens_of, usage_of
from adaptive_middleware.steps import split_steps
from adaptive_middleware.transport.call import Headers
from adaptive_middleware.transport.text import called_tools, content_text
from adaptive_middleware.types import Path, Usage

_SHOWN = 300


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """A whole reply: status, headers, the decoded body, and what the HTTP library keeps of the exchange."""

    status: int
    headers: Headers
    content: bytes
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """A reply that is a chat completion, with its JSON; the `raw` of a path.

    One that was streamed has the provider's `chunks`, too, and a reply without content.
    """

    reply: Reply
    body: Mapping[str, Any]
    chunks: tuple[Mapping[str, Any], ...] = ()


class Refused(SamplerError):
    """The provider's reply is no completion: an error status, or something else that only the client can judge."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        shown = reply.content[:_SHOWN].decode(errors="replace")
        super().__init__(f"HTTP {reply.status}: {shown}")


def answer(reply: Reply) -> tuple[Completion, Path]:
    """The completion that a reply is, and the path of it; raises `Refused` for one without a choice.

    Tool calls whose arguments are not JSON stay in the reply, but are none of the path's.
    """
    try:
        if not 200 <= reply.status < 300:
            raise Refused(reply)
        completion = Completion(reply, json.loads(reply.content))
        return completion, _path(completion, completion.body["choices"][0])
    except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Refused(reply) from error


def _path(completion: Completion, choice: Mapping[str, Any]) -> Path:
    message, reason = choice["message"], choice.get("finish_reason")
    cost = usage_of(completion.body.get("usage")) or Usage()
    return Path(
        steps=tuple(split_steps(content_text(message.get("content")))),
        done=reason != "length",
        finish_reason=reason,
        tool_calls=called_tools(message),
        logprobs=tokens_of(choice.get("logprobs")) or None,
        usage=cost + Usage(requests=1),
        raw=completion,
    )
