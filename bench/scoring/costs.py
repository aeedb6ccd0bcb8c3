"""What scoring costs before it is measured: tokens, floating-point operations, and the least time they can take.

Formulas of the usual accounting: 2 operations per weight and token, 4 x heads x head width per layer for each
(query, key) pair under the causal mask. The head is left out: it sees scored positions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.scoring.shapes import Shape


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens that pass through the trunk, and the (query, key) pairs that attention sees.

    >>> Work(2, 3) + Work(1, 3)
    Work(tokens=3, pairs=6)
    """

    tokens: int = 0
    pairs: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.tokens + other.tokens, self.pairs + other.pairs)


@dataclass(frozen=True, slots=True)
class Peak:
    """What the hardware was measured to do: operations per second of a matrix product, bytes per second of a copy."""

    flops: float
    bytes: float


def span(start: int, stop: int) -> Work:
    """Positions `start` to `stop` - 1 of a sequence, each attending to itself and to all before it.

    >>> span(2, 4)
    Work(tokens=2, pairs=7)
    """
    return Work(stop - start, (stop * (stop + 1) - start * (start + 1)) // 2)


def total(works: Iterable[Work]) -> Work:
    """The sum.

    >>> total([Work(1, 1), Work(2, 3)])
    Work(tokens=3, pairs=4)
    """
    return sum(works, Work())


def separate(lengths: Sequence[int]) -> Work:
    """Sequences of so many tokens, each computed whole, without padding."""
    return total(span(0, length) for length in lengths)


def padded(lengths: Sequence[int]) -> Work:
    """The same sequences, all as long as the longest."""
    return total(span(0, max(lengths)) for _ in lengths)


def branched(kept: int, prompt: int, before: Sequence[int], after: Sequence[int]) -> Work:
    """Branches of one prompt, each grown from `before` to `after` tokens behind it.

    `kept` of the prompt's tokens are computed already.

    >>> branched(0, 4, [0, 0], [2, 2]).tokens, branched(4, 4, [2, 2], [3, 3]).tokens
    (8, 2)
    """
    grown = (span(prompt + old, prompt + new) for old, new in zip(before, after, strict=True))
    return span(kept, prompt) + total(grown)


def flops(shape: Shape, work: Work) -> int:
    """Operations of the work on a shape.

    >>> from bench.scoring.shapes import SHAPES
    >>> shared = branched(0, 256, [0] * 16, [512] * 16)
    >>> shared.tokens, round(flops(SHAPES["7b"], shared) / 1e12, 1)
    (8448, 111.9)
    """
    per_pair = 4 * shape.layers * shape.heads * shape.head_dim
    return 2 * shape.parameters * work.tokens + per_pair * work.pairs


def floor_ms(shape: Shape, work: Work, peak: Peak, itemsize: int) -> float:
    """The least milliseconds of one forward: its operations at full rate, or the weights read once.

    >>> from bench.scoring.shapes import SHAPES
    >>> round(floor_ms(SHAPES["7b"], span(0, 1), Peak(790e12, 3.0e12), 2), 2)
    4.35
    """
    arithmetic = flops(shape, work) / peak.flops
    weights = shape.parameters * itemsize / peak.bytes
    return 1000 * max(arithmetic, weights)


def mfu(shape: Shape, work: Work, milliseconds: float, peak: Peak) -> float:
    """Model FLOPs utilisation: the share of the measured peak that the work's own operations reached."""
    return flops(shape, work) / (milliseconds / 1000) / peak.flops
