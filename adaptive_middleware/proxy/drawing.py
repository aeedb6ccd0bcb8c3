"""The sampler of one proxied call: every sample is the client's own request, sent again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.replies import Whole, path_of
from adaptive_middleware.proxy.upstream import Asked, Upstream
from adaptive_middleware.sampling.fanout import afan_out
from adaptive_middleware.steps import Boundary
from adaptive_middleware.transport.said import said
from adaptive_middleware.types import Path, Request

_SEED = 0x7FFFFFFF


@dataclass(slots=True)
class Drawing:
    """Draws whole answers; `usages` collects what the upstream counted.

    The body goes out in the client's bytes, except for parameters and messages that a strategy sets, the model's name where it
    named a policy, and the `seed` of every sample but the first, which would all be the same one.
    """

    upstream: Upstream
    asked: Asked
    body: Body
    boundary: Boundary = "auto"
    usages: list[Mapping[str, Any]] = field(default_factory=list)
    drawn: int = 0

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, asked for at once; raises `Unusable` when the upstream answers none of them."""

        async def draw() -> Path:
            reply = await self.upstream.whole(self.asked, self.next_body(request))
            path = path_of(reply, self.boundary)
            if isinstance(path.raw, Whole) and isinstance(path.raw.body.values.get("usage"), Mapping):
                self.usages.append(path.raw.body.values["usage"])
            return path

        return await afan_out(draw, n, deadline=request.deadline)

    def next_body(self, request: Request) -> bytes:
        """The bytes of the next sample's request."""
        own = self.body.values
        changes = {name: value for name, value in request.parameters.items() if own.get(name) != value}
        changes |= said(own, request)
        seed = request.parameters.get("seed")
        if self.drawn and isinstance(seed, int):
            changes["seed"] = (seed + self.drawn) & _SEED
        self.drawn += 1
        return self.body.changed(changes)
