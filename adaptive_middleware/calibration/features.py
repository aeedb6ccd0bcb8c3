"""What the calibrator looks at: a path's kind and a few numbers, most of them logits of probabilities.

The raw score of the last step, the lowest and the mean step score, the step count, and two groups that a path
may lack. `logprobs`, where the sampler gives them: the least likely token and the geometric mean probability of
the tokens. Only the minimum and the mean of the token log-probabilities enter, so a recording needs to keep no
more than the pair [min, mean]. `length`, where tokens are counted: long answers are wrong more often with some
models and tasks, and with others not; `selection` finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import exp, fsum, log, log1p
from types import MappingProxyType

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.logprobs import summary

QUESTION, PARTIAL, FINISHED, ANY = "question", "partial", "finished", "any"
KINDS = (QUESTION, PARTIAL, FINISHED)
PLAIN = ("last", "min", "mean", "steps", "done")
LOGPROBS, LENGTH = "logprobs", "length"
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {LOGPROBS: ("logprob_min", "logprob_mean"), LENGTH: ("length",)}
)
NAMES = (*PLAIN, *GROUPS[LOGPROBS], *GROUPS[LENGTH])
_CLAMP = 1e-6


def kind_of(steps: int, done: bool) -> str:
    """`question` (no steps: the question alone), `finished` or `partial`.

    >>> kind_of(0, False), kind_of(2, False), kind_of(2, True)
    ('question', 'partial', 'finished')
    """
    if steps == 0:
        return QUESTION
    return FINISHED if done else PARTIAL


def carried(steps: int, logprobs: Sequence[float] | None, tokens: int | None) -> tuple[str, ...]:
    """The groups that a path carries; the question alone carries none, and 0 tokens are an unknown count.

    >>> carried(2, (-0.5, -0.3), 120), carried(2, None, 120), carried(0, None, 120)
    (('logprobs', 'length'), ('length',), ())
    """
    present = {LOGPROBS: summary(logprobs) is not None, LENGTH: bool(tokens)}
    return tuple(group for group in GROUPS if steps and present[group])


def subsets(groups: Iterable[str]) -> list[tuple[str, ...]]:
    """Every choice of groups, the largest first, down to none.

    >>> subsets(("logprobs", "length"))
    [('logprobs', 'length'), ('logprobs',), ('length',), ()]
    """
    every = tuple(groups)
    return [chosen for size in range(len(every), -1, -1) for chosen in combinations(every, size)]


def map_name(kind: str, groups: Sequence[str]) -> str:
    """Name of the map of a kind that reads these groups: `finished+logprobs+length`."""
    return "+".join((kind, *groups))


def features(
    scores: Sequence[float],
    steps: int,
    done: bool,
    logprobs: tuple[float, float] | None,
    tokens: int | None = None,
) -> dict[str, float]:
    """Named features of a path. `scores` are its raw step scores in [0, 1], `logprobs` the pair (min, mean).

    `tokens` are the completion tokens so far. Every probability is clamped to [1e-6, 1 - 1e-6] before its logit. Scores may be fewer than steps (left
    truncation): the lowest and the mean are then those of the scored steps.

    Raises `CalibrationError` when there is no score, or one is NaN or out of range.
    """
    if not scores:
        message = "a path without scores cannot be calibrated: leave paths with rejected scores out"
        raise CalibrationError(message)
    for i, score in enumerate(scores):
        if not 0 <= score <= 1:
            message = f"step score {i} is {score!r}, not in [0, 1]: check the process reward model's output"
            raise CalibrationError(message)
    values = {
        "last": _logit(scores[-1]),
        "min": _logit(min(scores)),
        "mean": _logit(fsum(scores) / len(scores)),
        "steps": log1p(steps),
        "done": float(done),
    }
    if logprobs is not None:
        values["logprob_min"] = _logit(exp(min(logprobs[0], 0.0)))
        values["logprob_mean"] = _logit(exp(min(logprobs[1], 0.0)))
    if tokens is not None:
        values["length"] = log1p(tokens)
    return values


def _logit(probability: float) -> float:
    clamped = min(max(probability, _CLAMP), 1 - _CLAMP)
    return log(clamped / (1 - clamped))
