"""Fits the post-hoc calibrator: scored paths with measured success in, `Calibration` out.

Runs in seconds on a CPU. `shapes` is the model, `conformal` corrects its quantiles on problems it has not
seen. Question, partial and finished paths get maps of their own where there are at least 20 problems and 60
paths with right and wrong ends; the map `any` over all paths serves the rest. Where at least as many paths
carry token log-probabilities, or their length in tokens, further maps read these beside the scores, if they
predict held-out problems better (`selection`).
"""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS, conformalised
from adaptive_middleware.calibration.examples import Example, check
from adaptive_middleware.calibration.features import (
    ANY,
    FINISHED,
    GROUPS,
    KINDS,
    PARTIAL,
    PLAIN,
    QUESTION,
    carried,
    map_name,
    subsets,
)
from adaptive_middleware.calibration.posthoc import LOWER, UPPER, Calibration, QuantileMap
from adaptive_middleware.calibration.selection import helps
from adaptive_middleware.calibration.shapes import matrix_of, quantile_map, shape
from adaptive_middleware.errors import CalibrationError

LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
"""Levels of a calibration's quantiles: the outer ones keep a belief built from them from having fat tails."""

_PROBLEMS, _PATHS = 20, 60


def fit(
    examples: Sequence[Example],
    *,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
    evidence: Sequence[str] | None = None,
) -> Calibration:
    """The calibration fitted to scored paths; the same examples and seed give the same one.

    `levels` ascend in (0, 1) and contain 0.1 and 0.9. `seed` decides the folds. `evidence` are the groups of features
    (`logprobs`, `length`) that are read beside the scores where enough paths carry them; None lets the data choose.

    Raises `CalibrationError`: no examples, an example that cannot be used, levels out of order, an unknown group, all ends right or
    all wrong, or fewer than nine problems (then no 10 % bound exists that nine in ten new problems keep).
    """
    _check_levels(levels)
    _check_evidence(evidence)
    _check_examples(examples)
    maps: dict[str, QuantileMap] = {}
    kinds = {example.kind for example in examples}
    for kind in KINDS:
        own = [example for example in examples if example.kind == kind]
        if _enough(own):
            maps |= _maps(kind, own, levels, seed, evidence)
    if len(kinds) == 1 and maps:
        (kind,) = kinds
        maps |= {name.replace(kind, ANY): found for name, found in maps.items()}
    else:
        maps |= _maps(ANY, examples, levels, seed, evidence)
    return Calibration(tuple(levels), maps)


def _maps(
    kind: str, own: Sequence[Example], levels: Sequence[float], seed: int, evidence: Sequence[str] | None
) -> dict[str, QuantileMap]:
    """The plain map, and one for each choice of groups that beats every smaller choice already taken."""
    maps = {kind: _map(own, _names(kind, ()), levels, seed)}
    taken: list[tuple[str, ...]] = [()]
    for groups in reversed(subsets(GROUPS if evidence is None else evidence)[:-1]):
        told = [e for e in own if set(groups) <= set(carried(e.steps, e.logprobs, e.tokens))]
        names = _names(kind, groups)
        rivals = [_names(kind, fewer) for fewer in taken if evidence is None and set(fewer) < set(groups)]
        if _enough(told) and all(helps(told, names, rival, seed) for rival in rivals):
            maps[map_name(kind, groups)] = _map(told, names, levels, seed)
            taken.append(groups)
    return maps


def _map(own: Sequence[Example], names: Sequence[str], levels: Sequence[float], seed: int) -> QuantileMap:
    read_at = conformalised(own, names, seed).read_at(levels)
    return quantile_map(shape(own, matrix_of(own, names), names), levels, read_at)


def _names(kind: str, groups: Sequence[str]) -> tuple[str, ...]:
    if kind == QUESTION:
        return ("last",)
    names = (*PLAIN, *(name for group in groups for name in GROUPS[group]))
    return tuple(name for name in names if name != "done" or kind not in {PARTIAL, FINISHED})


def _enough(own: Sequence[Example]) -> bool:
    problems = len({example.group for example in own})
    return problems >= _PROBLEMS and len(own) >= _PATHS and 0 < _rate(own) < 1


def _rate(own: Sequence[Example]) -> float:
    return sum(example.success for example in own) / len(own)


def _check_levels(levels: Sequence[float]) -> None:
    ascending = list(levels) == sorted(set(levels)) and all(0 < level < 1 for level in levels)
    if not ascending or LOWER not in levels or UPPER not in levels:
        message = f"levels={tuple(levels)!r}: they must ascend inside (0, 1) and contain {LOWER} and {UPPER}"
        raise CalibrationError(message)


def _check_evidence(evidence: Sequence[str] | None) -> None:
    if evidence is not None and list(evidence) != [group for group in GROUPS if group in evidence]:
        message = (
            f"evidence={tuple(evidence)!r}: possible are {', '.join(GROUPS)}, each once and in this order"
        )
        raise CalibrationError(message)


def _check_examples(examples: Sequence[Example]) -> None:
    if not examples:
        message = "no examples: a calibration needs scored paths with measured success"
        raise CalibrationError(message)
    check(examples)
    rate = _rate(examples)
    if rate in (0, 1):
        what = "right" if rate else "wrong"
        message = f"all {len(examples)} examples end {what}: add {'harder' if rate else 'easier'} problems"
        raise CalibrationError(message)
    problems = len({example.group for example in examples})
    if problems < FEWEST_PROBLEMS:
        message = (
            f"{problems} problems are too few: a lower bound that covers {1 - LOWER:.0%} needs at least "
            f"{FEWEST_PROBLEMS} (and some {10 * FEWEST_PROBLEMS} to be sharp)"
        )
        raise CalibrationError(message)
