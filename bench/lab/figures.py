"""The figures that a judge of answers is measured by."""

from collections.abc import Sequence

from adaptive_middleware.calibration.metrics import auroc, auroc_within


def within(problems: Sequence[Sequence[tuple[float, bool]]]) -> tuple[float, int]:
    """(mean AUROC over the problems that have both right and wrong answers, how many those are)."""
    rows = [(*answer, number) for number, answers in enumerate(problems) for answer in answers]
    scores, labels, groups = zip(*rows, strict=True)
    mixed = sum(len({good for _, good in answers}) == 2 for answers in problems)
    return (auroc_within(scores, labels, groups) if mixed else float("nan")), mixed


def overall(answers: Sequence[tuple[float, bool]]) -> float:
    """AUROC over all answers of all problems."""
    scores, labels = zip(*answers, strict=True)
    return auroc(scores, labels)


def largest_drop(before: float, scores: Sequence[float]) -> int:
    """Index of the step at which the score falls most; `before` is the score of the bare question.

    >>> largest_drop(0.6, [0.7, 0.1, 0.0])
    1
    """
    drops = [new - old for old, new in zip([before, *scores], scores, strict=False)]
    return drops.index(min(drops))
