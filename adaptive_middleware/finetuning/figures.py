"""How good estimates are on paths that took no part: calibration, coverage, pinball loss and crossing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.coverage import coverage_of
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.features import KINDS
from adaptive_middleware.scoring.quantiles import crossing
from adaptive_middleware.types import Estimate

Quantiles = Sequence[tuple[float, float]]
_THREE = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one kind of path: ECE (ten equally wide bins), Brier score and mean pinball loss at 0.1, 0.5, 0.9.

    Targets are measured rates k/m. `coverage` is the share of paths above the 10 % quantile, the noise of k of m accounted
    for (`calibration.coverage`), `coverage_error` its standard error by problem; `crossing` is the share of paths whose
    quantiles cross as the model gave them.
    """

    problems: int
    paths: int
    ece: float
    brier: float
    pinball: float
    coverage: float
    coverage_error: float
    crossing: float


def figures(
    estimates: Sequence[Estimate], said: Sequence[Quantiles], examples: Sequence[Example]
) -> dict[str, Figures]:
    """Figures of all paths (`all`) and of each kind that occurs; `said` are the quantiles before any sorting."""
    found = {}
    for name in ("all", *KINDS):
        own = [i for i, example in enumerate(examples) if name in ("all", example.kind)]
        if own:
            parts = ([values[i] for i in own] for values in (estimates, said, examples))
            found[name] = _figures(*parts)  # type: ignore[arg-type] # three lists of three types
    return found


def flat(found: Mapping[str, Figures]) -> dict[str, float]:
    """The figures as named numbers, for a manifest: `all.ece`, `partial.coverage`, ..."""
    return {
        f"{kind}.{name}": float(value) for kind, one in found.items() for name, value in asdict(one).items()
    }


def _figures(estimates: list[Estimate], said: list[Quantiles], examples: list[Example]) -> Figures:
    truth, mean = [e.success for e in examples], [e.mean for e in estimates]
    rows = [[dict(e.quantiles)[level] for e in estimates] for level in _THREE]
    covered = coverage_of(estimates, examples)
    return Figures(
        problems=len({e.group for e in examples}),
        paths=len(examples),
        ece=metrics.ece_equal_width(mean, truth),
        brier=metrics.brier(mean, truth),
        pinball=metrics.weighted_quantile_loss(rows, truth, _THREE),
        coverage=covered.share,
        coverage_error=covered.error,
        crossing=sum(map(crossing, said)) / len(said),
    )
