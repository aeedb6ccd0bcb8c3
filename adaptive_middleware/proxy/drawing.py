"""The sampler of one proxied call: every sample is the client's own request, sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.replies import Whole, path_of
from adaptive_middleware.proxy.several import replies_of, shared
from adaptive_middleware.proxy.upstream import Asked, Reply, Unusable, Upstream
from adaptive_middleware.sampling.endpoint import too_many
from adaptive_middleware.sampling.fanout import afan_out
from adaptive_middleware.steps import Boundary
from adaptive_middleware.transport.said import said
from adaptive_middleware.transport.wire import CHAT, Wire
from adaptive_middleware.types import Path, Request

_SEED = 0x7FFFFFFF
_LATE = "the deadline has passed before the upstream answered"


@dataclass(slots=True)
class Drawing:
    """Draws whole answers; `replies` collects them.

    The body goes out in the client's bytes, except for parameters and messages that a strategy sets, the model's name where it
    named a policy, and the `seed` of every sample but the first, which would all be the same one. Where the upstream
    is configured so, it says `n` instead of being sent several times.
    """

    upstream: Upstream
    asked: Asked
    body: Body
    wire: Wire = CHAT
    boundary: Boundary = "auto"
    replies: list[Whole] = field(default_factory=list)
    drawn: int = 0

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, asked for at once; raises `Unusable` when the upstream answers none of them."""
        found = await self._together(request, n) if self._can_share(n) else []
        left = n - len(found)
        return (
            found + await afan_out(partial(self._one, request), left, deadline=request.deadline)
            if left
            else found
        )

    async def _one(self, request: Request) -> Path:
        return self._kept(await self.upstream.whole(self.asked, self.next_body(request)))

    def _can_share(self, n: int) -> bool:
        """Whether one request may bring `n` answers: responses have no such field."""
        return n > 1 and self.upstream.use_n and self.wire is CHAT

    async def _together(self, request: Request, n: int) -> list[Path]:
        """The answers of one request for `n`; none where the upstream does not give so many at once."""
        try:
            async with asyncio.timeout_at(_on_the_loop(request.deadline)):
                reply = await self.upstream.whole(self.asked, self.next_body(request, n))
        except TimeoutError as error:
            raise DeadlineExceeded(_LATE) from error
        except Unusable as error:
            if too_many(error.reply.status, error.reply.body.decode(errors="replace"), n):
                return []
            raise
        paths = [self._kept(one) for one in replies_of(reply, n)]
        costs = shared(paths[0].usage, len(paths))
        return [replace(path, usage=cost) for path, cost in zip(paths, costs, strict=True)]

    def _kept(self, reply: Reply) -> Path:
        path = path_of(reply, self.wire, self.boundary)
        if isinstance(path.raw, Whole):
            self.replies.append(path.raw)
        return path

    def next_body(self, request: Request, n: int = 1) -> bytes:
        """The bytes of the request for the next `n` samples."""
        own = self.body.values
        changes: dict[str, object] = {
            name: value for name, value in request.parameters.items() if own.get(name) != value
        }
        changes |= said(own, request)
        seed = request.parameters.get("seed")
        if self.drawn and isinstance(seed, int):
            changes["seed"] = (seed + self.drawn) & _SEED
        if n > 1:
            changes["n"] = n
        self.drawn += n
        return self.body.changed(changes)


def _on_the_loop(deadline: float | None) -> float | None:
    """A `time.monotonic()` instant as one of the running loop's clock."""
    return None if deadline is None else asyncio.get_running_loop().time() + deadline - time.monotonic()
