"""Fits the post-hoc calibrator: scored paths with measured success in, `Calibration` out.

Runs in seconds on a CPU. `shapes` is the model, `conformal` corrects its quantiles on problems it has not
seen. Question, partial and finished paths get maps of their own where there are at least 20 problems and 60
paths with right and wrong ends; the map `any` over all paths serves the rest. Where at least as many paths
carry token log-probabilities, a second map reads them beside the scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS, conformalised
from adaptive_middleware.calibration.examples import Example, check
from adaptive_middleware.calibration.features import (
    ANY,
    FINISHED,
    KINDS,
    PARTIAL,
    PLAIN,
    QUESTION,
    SUFFIX,
    WITH_LOGPROBS,
    summary,
)
from adaptive_middleware.calibration.posthoc import LOWER, UPPER, Calibration, QuantileMap
from adaptive_middleware.calibration.shapes import matrix_of, quantile_map, shape
from adaptive_middleware.errors import CalibrationError

LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
"""Levels of a calibration's quantiles: the outer ones keep a belief built from them from having fat tails."""

_PROBLEMS, _PATHS = 20, 60


def fit(examples: Sequence[Example], *, levels: Sequence[float] = LEVELS, seed: int = 0) -> Calibration:
    """The calibration fitted to scored paths; the same examples and seed give the same one.

    `levels` ascend in (0, 1) and contain 0.1 and 0.9. `seed` decides the folds.

    Raises `CalibrationError`: no examples, an example that cannot be used, levels out of order, all ends right or
    all wrong, or fewer than nine problems (then no 10 % bound exists that nine in ten new problems keep).
    """
    _check_levels(levels)
    _check_examples(examples)
    maps: dict[str, QuantileMap] = {}
    kinds = {example.kind for example in examples}
    for kind in KINDS:
        own = [example for example in examples if example.kind == kind]
        if _enough(own):
            maps |= _maps(kind, own, levels, seed)
    if len(kinds) == 1 and maps:
        (kind,) = kinds
        maps |= {name.replace(kind, ANY): found for name, found in maps.items()}
    else:
        maps |= _maps(ANY, examples, levels, seed)
    return Calibration(tuple(levels), maps)


def _maps(kind: str, own: Sequence[Example], levels: Sequence[float], seed: int) -> dict[str, QuantileMap]:
    maps = {kind: _map(own, _names(kind, PLAIN), levels, seed)}
    told = [example for example in own if example.steps and summary(example.logprobs) is not None]
    if _enough(told):
        maps[kind + SUFFIX] = _map(told, _names(kind, WITH_LOGPROBS), levels, seed)
    return maps


def _map(own: Sequence[Example], names: Sequence[str], levels: Sequence[float], seed: int) -> QuantileMap:
    read_at = conformalised(own, names, seed).read_at(levels)
    return quantile_map(shape(own, matrix_of(own, names), names), levels, read_at)


def _names(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    if kind == QUESTION:
        return ("last",)
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
