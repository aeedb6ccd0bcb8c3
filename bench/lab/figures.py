"""The figures a judge of answers is measured by; plain Python, ties count one half."""

import bisect
from collections.abc import Sequence
from statistics import mean


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Chance that a right one scores above a wrong one.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    below = sorted(wrong)
    hits = sum(bisect.bisect_left(below, score) + bisect.bisect_right(below, score) for score in right)
    return hits / (2 * len(right) * len(below))


def within(problems: Sequence[Sequence[tuple[float, bool]]]) -> tuple[float, int]:
    """(mean AUROC over the problems that have both right and wrong answers, how many those are)."""
    values = []
    for answers in problems:
        right, wrong = ([score for score, good in answers if good is side] for side in (True, False))
        if right and wrong:
            values.append(auroc(right, wrong))
    return (mean(values) if values else float("nan")), len(values)


def overall(answers: Sequence[tuple[float, bool]]) -> float:
    """AUROC over all answers of all problems."""
    return auroc([score for score, good in answers if good], [score for score, good in answers if not good])


def largest_drop(before: float, scores: Sequence[float]) -> int:
    """Index of the step at which the score falls most; `before` is the score of the bare question.

    >>> largest_drop(0.6, [0.7, 0.1, 0.0])
    1
    """
    drops = [new - old for old, new in zip([before, *scores], scores, strict=False)]
    return drops.index(min(drops))
