"""How good a calibration is on paths that took no part in its fit, beside the raw scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.coverage import Coverage, coverage_lower
from adaptive_middleware.calibration.examples import Example, check
from adaptive_middleware.calibration.features import KINDS
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError

_EVERY: Mapping[str, str] = MappingProxyType({"all": ""} | {kind: kind for kind in KINDS})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one kind of path, raw (score of the last step) and calibrated (mean of the estimate).

    ECE is over ten bins, equally wide and of equal mass; targets are measured success rates k/m.
    """

    problems: int
    paths: int
    ece_raw: float
    ece_calibrated: float
    ece_mass_raw: float
    ece_mass_calibrated: float
    brier_raw: float
    brier_calibrated: float
    positive_brier_raw: float
    positive_brier_calibrated: float
    coverage: Coverage


def evaluate(calibration: Calibration, examples: Sequence[Example]) -> dict[str, Evaluation]:
    """Evaluation of all paths (`all`) and of each kind that occurs: `question`, `partial`, `finished`.

    Raises `CalibrationError` when there are no examples, or one cannot be used.
    """
    if not examples:
        message = "no examples: an evaluation needs held-out paths with measured success"
        raise CalibrationError(message)
    check(examples)
    chosen = {name: [e for e in examples if kind in ("", e.kind)] for name, kind in _EVERY.items()}
    return {name: _evaluation(calibration, own) for name, own in chosen.items() if own}


def figures(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    """The evaluations as flat named numbers, for a bundle: `all.ece_raw`, `partial.coverage.share`, ..."""
    flat: dict[str, float] = {}
    for kind, evaluation in evaluations.items():
        for name, value in asdict(evaluation).items():
            parts = value if isinstance(value, dict) else {"": value}
            flat |= {f"{kind}.{name}{'.' if part else ''}{part}": number for part, number in parts.items()}
    return flat


def _evaluation(calibration: Calibration, own: Sequence[Example]) -> Evaluation:
    truth = [e.success for e in own]
    raw = [e.scores[-1] for e in own]
    mean = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs, e.tokens).mean for e in own]
    return Evaluation(
        problems=len({e.group for e in own}),
        paths=len(own),
        ece_raw=metrics.ece_equal_width(raw, truth),
        ece_calibrated=metrics.ece_equal_width(mean, truth),
        ece_mass_raw=metrics.ece_equal_mass(raw, truth),
        ece_mass_calibrated=metrics.ece_equal_mass(mean, truth),
        brier_raw=metrics.brier(raw, truth),
        brier_calibrated=metrics.brier(mean, truth),
        positive_brier_raw=metrics.positive_brier(raw, truth),
        positive_brier_calibrated=metrics.positive_brier(mean, truth),
        coverage=coverage_lower(calibration, own),
    )
