"""Quantiles of success that the process reward model predicts itself: what it is told of a path, what is read back.

Pure; `quantiles_local` runs the model. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.logprobs import summary
from adaptive_middleware.types import Estimate, Path, StepScores

LOWER, UPPER = 0.1, 0.9
QUESTION, PARTIAL, FINISHED = "question", "partial", "finished"
KINDS = (QUESTION, PARTIAL, FINISHED)
_TOLD = ("steps", "logprobs", "logprob_min", "logprob_mean")
FEATURES = ("one", QUESTION, FINISHED, *_TOLD, *(f"{FINISHED} {name}" for name in _TOLD))
_CLAMP, _SCALE = 1e-6, 4.0


def kinds_of(path: Path, first: int, count: int) -> tuple[tuple[str, int], ...]:
    """Kind and step count at each of `count` scores of a path, of which the first is that of step `first`.

    Every step but the last closes a partial answer; the last one, too, unless the path is done.

    >>> kinds_of(Path(("a", "b")), 0, 2)
    (('partial', 1), ('finished', 2))
    >>> kinds_of(Path(), 0, 1)
    (('question', 0),)
    """
    if not path.steps:
        return ((QUESTION, 0),) * count
    ends = [first + index + 1 for index in range(count)]
    last = FINISHED if path.done else PARTIAL
    return tuple((last if end == len(path.steps) else PARTIAL, end) for end in ends)


def described(kind: str, steps: int, logprobs: Sequence[float] | None = None) -> tuple[float, ...]:
    """A path as numbers, in the order of `FEATURES`.

    A constant, is it the question alone, is it finished, ln(1 + steps), and, from the sampler's token log-probabilities where
    there are any: that there are, and a quarter of the logits of the least likely token's and of the geometric mean
    probability. The last four once more for finished answers alone, so that each kind has weights of its own.

    >>> [round(number, 2) for number in described("finished", 0, (-100.0, -0.1))]
    [1.0, 0.0, 1.0, 0.0, 1.0, -3.45, 0.56, 0.0, 1.0, -3.45, 0.56]
    """
    pair, finished = summary(logprobs), float(kind == FINISHED)
    read = (0.0, 0.0, 0.0) if pair is None else (1.0, _logit(pair[0]), _logit(pair[1]))
    told = (log1p(steps), *read)
    return 1.0, float(kind == QUESTION), finished, *told, *(finished * value for value in told)


def _logit(logprob: float) -> float:
    probability = min(max(exp(min(logprob, 0.0)), _CLAMP), 1 - _CLAMP)
    return log(probability / (1 - probability)) / _SCALE


def quantile_estimate(path: Path, scores: StepScores) -> Estimate:
    """The calibrator of a fine-tuned model: the estimate that the model itself gave for the last step.

    Quantiles that a model without the constraint let cross are sorted (Chernozhukov, Fernández-Val and Galichon 2010).
    Raises `CalibrationError` when the scores carry no quantiles at 0.1 and 0.9.

    >>> crossed = StepScores((0.5,), quantiles=(((0.1, 0.3), (0.5, 0.5), (0.9, 0.4)),))
    >>> quantile_estimate(Path(("a",)), crossed)
    Estimate(mean=0.5, lower=0.3, upper=0.5, quantiles=((0.1, 0.3), (0.5, 0.4), (0.9, 0.5)))
    """
    said = scores.quantiles[-1] if scores.quantiles else ()
    levels = [level for level, _ in said]
    if LOWER not in levels or UPPER not in levels:
        message = (
            f"the scores of a path with {len(path.steps)} steps carry no quantiles at {LOWER} and {UPPER}: score it with a "
            "fine-tuned process reward model (load_quantile_scorer), or fit a post-hoc calibration for this one"
        )
        raise CalibrationError(message)
    pairs = tuple(zip(levels, sorted(value for _, value in said), strict=True))
    mean, found = scores.values[-1], dict(pairs)
    return Estimate(mean, min(found[LOWER], mean), max(found[UPPER], mean), pairs)


def crossing(quantiles: Sequence[tuple[float, float]]) -> bool:
    """Whether a quantile lies above one of a higher level.

    >>> crossing(((0.1, 0.3), (0.5, 0.2)))
    True
    """
    values = [value for _, value in quantiles]
    return values != sorted(values)
