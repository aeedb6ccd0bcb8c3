"""Judged answers: the probability each was given, and whether it was right; everything an audit measures starts here.

Answers to one problem share its difficulty, so they are not independent evidence: every interval and test of
an audit counts problems, by way of `clustered`.

Needs numpy, as the other modules of this package do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_RESAMPLES, _CHUNK = 2000, 100


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers in the order they were judged: `p` in [0, 1], what came of it, and the `problem` each belongs to.

    `right` is 1 or 0, or for a question alone the share right of its answers.
    """

    p: tuple[float, ...]
    right: tuple[float, ...]
    problem: tuple[str, ...]

    @property
    def n(self) -> int:
        """How many answers were judged."""
        return len(self.p)

    @property
    def problems(self) -> int:
        """How many different problems they belong to."""
        return len(set(self.problem))

    @property
    def residuals(self) -> Floats:
        """Probability minus outcome of each answer: positive where p promised too much."""
        return np.asarray(np.array(self.p) - np.array(self.right))

    def where(self, kept: npt.NDArray[np.bool_]) -> Judged:
        """The answers for which `kept` is true, in order."""
        chosen = kept.tolist()
        p, right, problem = (
            compress(self.p, chosen),
            compress(self.right, chosen),
            compress(self.problem, chosen),
        )
        return Judged(tuple(p), tuple(right), tuple(problem))


def clustered(rows: Floats, problem: tuple[str, ...]) -> Floats:
    """Sums of `rows` (one row of numbers per answer) over each problem, in order of first appearance.

    >>> clustered(np.array([[1.0], [2.0], [4.0]]), ("a", "b", "a")).tolist()
    [[5.0], [2.0]]
    """
    number: dict[str, int] = {}
    owner = [number.setdefault(name, len(number)) for name in problem]
    sums = np.zeros((len(number), rows.shape[1]))
    np.add.at(sums, owner, rows)
    return sums


def resamples(rows: Floats, rng: np.random.Generator, weights: Floats | None = None) -> Floats:
    """Means of 2000 bootstrap resamples of `rows` (one row per problem), one row of means per resample.

    With `weights`, one per row, they are sums of rows divided by sums of weights: `rows` are then sums themselves.
    """
    count = len(rows)
    sizes = np.ones(count) if weights is None else weights
    even = np.full(count, 1 / count)
    chunks = []
    for _ in range(_RESAMPLES // _CHUNK):  # all at once would take gigabytes for large stores
        times = rng.multinomial(count, even, size=_CHUNK)
        chunks.append((times @ rows) / (times @ sizes)[:, None])
    return np.concatenate(chunks)
