"""Where answers come from: what a collection needs to know of a sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Request


class Continuer(Protocol):
    """Draws answers that begin with a given text."""

    def extend(
        self, request: Request, prefixes: Sequence[str], n: int, seed: int
    ) -> Sequence[Sequence[Drawn]]:
        """`n` independent answers for each prefix ("" for whole answers), in the order drawn, cut ones included."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A sampler as a collection uses it; `id` names the generator in the bundle.

    `continues` says whether prefixes can be continued at all, `together` how many answers one call generates
    side by side, `concurrent` whether calls may overlap. `max_tokens` limits one answer.
    """

    id: str
    continuer: Continuer
    max_tokens: int
    continues: bool = True
    together: int = 1
    concurrent: bool = True
