"""The strategy that does nothing: one sample, returned as it is."""

from __future__ import annotations

from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.types import Outcome, Request


def pass_through(request: Request) -> Flow[Outcome]:
    """One plain call, unscored."""
    paths = yield from Sample(request, 1)
    if not paths:
        message = "the sampler returned no answer for one requested sample"
        raise SamplerError(message)
    return Outcome(chosen=paths[0], usage=paths[0].usage)
