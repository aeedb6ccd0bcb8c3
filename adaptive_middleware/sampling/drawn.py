"""One drawn answer, and how its tokens fall into its steps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from adaptive_middleware.types import Path


@dataclass(frozen=True, slots=True)
class Drawn:
    """A whole answer as `path`, however much of it was given as a prefix.

    `ends` says how many of the tokens behind `path.logprobs` reach to the end of each step; it is empty where
    that is not known. `path.done` is False for an answer that was cut by its limit of tokens.
    """

    path: Path
    ends: tuple[int, ...] = ()

    def logprobs_until(self, steps: int) -> tuple[float, ...] | None:
        """Log-probabilities of the tokens of the first `steps` steps; None where they are not known.

        >>> Drawn(Path(("a b ", "c"), logprobs=(-1.0, -2.0, -3.0)), (2, 3)).logprobs_until(1)
        (-1.0, -2.0)
        """
        if self.path.logprobs is None or not self.ends:
            return None
        return self.path.logprobs[: self.ends[steps - 1]]


def step_ends(steps: Sequence[str], tokens: int, text_of: Callable[[int], str]) -> tuple[int, ...]:
    """The number of tokens that reach to the end of each step; `text_of(t)` is the text of the first t.

    >>> step_ends(("ab", "cde"), 5, lambda t: "abcde"[:t])
    (2, 5)
    """
    counts = range(tokens + 1)
    return tuple(
        min(bisect_left(counts, length, key=lambda t: len(text_of(t))), tokens)
        for length in accumulate(map(len, steps))
    )
