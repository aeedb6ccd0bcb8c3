"""Replies of the provider: as answers, where they are completions, and as they came, where they are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.transport.call import Headers
from adaptive_middleware.transport.wire import Wire
from adaptive_middleware.types import Path

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
    """A reply that is a chat completion or a response, with its JSON; the `raw` of a path.

    One that was streamed has the provider's events as `chunks`, too, and a reply without content.
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


def answer(reply: Reply, wire: Wire) -> tuple[Completion, Path]:
    """The completion that a reply is, and the path of it; raises `Refused` for one that is none."""
    try:
        if not 200 <= reply.status < 300:
            raise Refused(reply)
        completion = Completion(reply, json.loads(reply.content))
        return completion, wire.path(completion.body, completion)
    except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Refused(reply) from error
