"""How good probabilities are: Brier, expected calibration error, reliability, pinball loss, coverage, AUROC.

Pure Python over equally long sequences of floats. Predictions are probabilities in [0, 1]; targets are
outcomes (0 or 1) or measured success rates in [0, 1] (Monte-Carlo: k right of m continuations). Every
function raises `CalibrationError` when its input is empty, of unequal length, NaN or out of range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import fsum, isfinite

from adaptive_middleware.errors import CalibrationError


def brier(predicted: Sequence[float], targets: Sequence[float]) -> float:
    """Mean squared difference between prediction and target (Brier 1950), in [0, 1]; 0 is best.

    >>> round(brier([0.9, 0.2], [1, 0]), 3)
    0.025
    """
    pairs = _pairs(predicted, targets)
    return fsum((p - t) ** 2 for p, t in pairs) / len(pairs)


def positive_brier(predicted: Sequence[float], targets: Sequence[float]) -> float:
    """The Brier score of over-estimates only: mean of max(0, prediction - target) squared.

    The one-sided reading used for instance-adaptive scaling (Park et al. 2025, arXiv 2506.09338): only
    optimism makes an allocation rule spend too little.

    >>> round(positive_brier([0.9, 0.2], [1, 0]), 3)
    0.02
    """
    pairs = _pairs(predicted, targets)
    return fsum(max(p - t, 0.0) ** 2 for p, t in pairs) / len(pairs)


def ece_equal_width(predicted: Sequence[float], targets: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error over `bins` equally wide bins, (lower, upper] as in Guo et al. 2017.

    The mean over all predictions of |mean prediction - mean target| of the bin that each falls into.

    >>> round(ece_equal_width([0.8, 0.9, 0.1], [1.0, 0.5, 0.1]), 3)
    0.2
    """
    pairs = _pairs(predicted, targets)
    return _ece(pairs, [i / bins for i in range(1, _positive(bins))])


def ece_equal_mass(predicted: Sequence[float], targets: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error over `bins` bins that hold about equally many predictions each.

    Edges are the empirical quantiles of the predictions (linear interpolation, as scikit-learn's
    `calibration_curve(strategy="quantile")`), so equal predictions always share a bin.
    """
    pairs = _pairs(predicted, targets)
    ordered = sorted(p for p, _ in pairs)
    return _ece(pairs, [_quantile(ordered, i / bins) for i in range(1, _positive(bins))])


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram: predictions in (low, high], and what came of them.

    `members` are the positions of its predictions, `predicted` their mean, `observed` the mean of their targets.
    """

    low: float
    high: float
    members: tuple[int, ...]
    predicted: float
    observed: float


def reliability(predicted: Sequence[float], targets: Sequence[float], bins: int = 10) -> list[Bin]:
    """The bins of `ece_equal_width` that hold predictions, ascending; the first also takes predictions of 0.

    As scikit-learn's `calibration_curve(strategy="uniform")`, which gives the two means.

    >>> [(found.high, found.members) for found in reliability([0.8, 0.9, 0.1], [1.0, 0.5, 0.1], bins=2)]
    [(0.5, (2,)), (1.0, (0, 1))]
    """
    pairs = _pairs(predicted, targets)
    edges = [i / bins for i in range(1, _positive(bins))]
    members: defaultdict[int, list[int]] = defaultdict(list)
    for i, (p, _) in enumerate(pairs):
        members[bisect_left(edges, p)].append(i)
    return [_bin(k / bins, (k + 1) / bins, tuple(members[k]), pairs) for k in sorted(members)]


def quantile_coverage(quantiles: Sequence[float], targets: Sequence[float]) -> float:
    """Share of targets at or above their predicted quantile: 1 - level when the quantiles are right.

    A 10 % quantile covers 90 %. Exact when the targets are known exactly; for k of m continuations the
    binomial noise counts as misses, for which `coverage.coverage_lower` accounts.

    >>> quantile_coverage([0.2, 0.5, 0.9], [0.2, 0.6, 0.8]) == 2 / 3
    True
    """
    pairs = _pairs(quantiles, targets)
    return sum(t >= q for q, t in pairs) / len(pairs)


def pinball(quantiles: Sequence[float], targets: Sequence[float], level: float) -> float:
    """Mean pinball loss of predicted `level` quantiles: max((level - 1) u, level u), u = target - quantile.

    The quantile regression loss of Koenker and Bassett 1978, with which Park et al. 2025 train their
    reward model. `level` is in (0, 1).

    >>> round(pinball([0.5, 0.5], [1.0, 0.0], 0.1), 3)
    0.25
    """
    if not 0 < level < 1:
        message = f"the quantile level is {level!r}, not between 0 and 1"
        raise CalibrationError(message)
    pairs = _pairs(quantiles, targets)
    return fsum(max((level - 1) * (t - q), level * (t - q)) for q, t in pairs) / len(pairs)


def weighted_quantile_loss(
    quantiles: Sequence[Sequence[float]], targets: Sequence[float], levels: Sequence[float]
) -> float:
    """Mean pinball loss over several levels; `quantiles` holds one sequence of predictions per level."""
    if not levels or len(quantiles) != len(levels):
        message = f"{len(quantiles)} sequences of quantiles for {len(levels)} levels: one per level is needed"
        raise CalibrationError(message)
    losses = [pinball(row, targets, level) for row, level in zip(quantiles, levels, strict=True)]
    return fsum(losses) / len(losses)


def auroc(scores: Sequence[float], labels: Sequence[float]) -> float:
    """Probability that a right answer (label 1) scores above a wrong one (label 0); a tie counts 1/2.

    The area under the ROC curve as the Mann-Whitney statistic. Scores are any finite numbers; both
    labels must occur.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
    0.875
    """
    pairs = _labelled(scores, labels)
    positives = sum(label == 1 for _, label in pairs)
    negatives = len(pairs) - positives
    if not positives or not negatives:
        message = f"AUROC needs right and wrong answers; there are {positives} right and {negatives} wrong"
        raise CalibrationError(message)
    won = below = 0.0
    for wrong, right in _tied(pairs):
        won += right * (below + wrong / 2)
        below += wrong
    return won / (positives * negatives)


def auroc_within(scores: Sequence[float], labels: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Mean AUROC over the groups (problems) that have right and wrong answers, each counted once.

    Tells whether answers are judged, where the overall figure may only tell hard questions from easy ones.

    >>> auroc_within([0.1, 0.9, 0.8, 0.2], [0, 1, 0, 1], ["a", "a", "b", "b"])
    0.5
    """
    if len(groups) != len(scores):
        message = f"{len(scores)} scores but {len(groups)} groups: one group per score is needed"
        raise CalibrationError(message)
    rows: defaultdict[Hashable, list[tuple[float, float]]] = defaultdict(list)
    for group, pair in zip(groups, _labelled(scores, labels), strict=True):
        rows[group].append(pair)
    mixed = [list(zip(*pairs, strict=True)) for pairs in rows.values() if len({y for _, y in pairs}) == 2]
    if not mixed:
        message = f"none of the {len(rows)} groups has right and wrong answers: AUROC within is undefined"
        raise CalibrationError(message)
    return fsum(auroc(*columns) for columns in mixed) / len(mixed)


def _tied(pairs: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """Counts (wrong, right) for each distinct score, ascending."""
    counts: defaultdict[float, list[int]] = defaultdict(lambda: [0, 0])
    for score, label in pairs:
        counts[score][int(label)] += 1
    return [(counts[score][0], counts[score][1]) for score in sorted(counts)]


def _bin(low: float, high: float, members: tuple[int, ...], pairs: Sequence[tuple[float, float]]) -> Bin:
    means = [fsum(pairs[i][column] for i in members) / len(members) for column in (0, 1)]
    return Bin(low, high, members, *means)


def _ece(pairs: Sequence[tuple[float, float]], edges: Sequence[float]) -> float:
    gaps: defaultdict[int, list[float]] = defaultdict(list)
    for p, t in pairs:
        gaps[bisect_left(edges, p)].append(p - t)
    return fsum(abs(fsum(gap)) for gap in gaps.values()) / len(pairs)


def _quantile(ordered: Sequence[float], level: float) -> float:
    position = level * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def _positive(bins: int) -> int:
    if bins < 1:
        message = f"bins={bins!r}: at least one bin is needed"
        raise CalibrationError(message)
    return bins


def _pairs(predicted: Sequence[float], targets: Sequence[float]) -> list[tuple[float, float]]:
    pairs = _together("predictions", predicted, "targets", targets)
    for name, values in (("prediction", predicted), ("target", targets)):
        for i, value in enumerate(values):
            if not 0 <= value <= 1:
                message = f"{name} {i} is {value!r}: probabilities and success rates are in [0, 1]"
                raise CalibrationError(message)
    return pairs


def _labelled(scores: Sequence[float], labels: Sequence[float]) -> list[tuple[float, float]]:
    pairs = _together("scores", scores, "labels", labels)
    for i, (score, label) in enumerate(pairs):
        if not isfinite(score):
            message = f"score {i} is {score!r}: AUROC compares finite numbers; drop rejected scores first"
            raise CalibrationError(message)
        if label not in (0, 1):
            message = f"label {i} is {label!r}: AUROC needs outcomes, 0 (wrong) or 1 (right)"
            raise CalibrationError(message)
    return pairs


def _together(first: str, xs: Sequence[float], second: str, ys: Sequence[float]) -> list[tuple[float, float]]:
    if len(xs) != len(ys):
        message = f"{len(xs)} {first} but {len(ys)} {second}: one of each is needed"
        raise CalibrationError(message)
    if not xs:
        message = f"no {first}: there is nothing to measure"
        raise CalibrationError(message)
    return list(zip(xs, ys, strict=True))
