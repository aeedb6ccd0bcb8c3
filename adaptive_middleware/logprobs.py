"""Token log-probabilities of a path, as the two numbers that are read of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite


def summary(logprobs: Sequence[float] | None) -> tuple[float, float] | None:
    """(min, mean) of token log-probabilities (natural log), or None when there are none to use.

    Two ascending numbers are read as the pair [min, mean] of a recording, so that a recorded path and a
    sampled one give the same features (an answer of exactly two tokens is read so, too).

    >>> summary([-0.5, -0.1, -0.3])
    (-0.5, -0.3)
    >>> summary((-0.5, -0.3))
    (-0.5, -0.3)
    """
    if not logprobs or any(value != value for value in logprobs):  # noqa: PLR0124 - NaN is unequal to itself
        return None
    if len(logprobs) == 2 and logprobs[0] <= logprobs[1]:
        return (logprobs[0], logprobs[1])
    finite = [value for value in logprobs if isfinite(value)]
    return (min(logprobs), fsum(finite) / len(finite)) if finite else None
