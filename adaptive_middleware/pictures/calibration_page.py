"""The report of a calibration: how honest its probabilities are on problems that took no part in its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from types import MappingProxyType

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.evaluate import Evaluation, evaluate
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.features import FINISHED, PARTIAL, QUESTION
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.pictures.coverage_curve import coverage_curve
from adaptive_middleware.pictures.histogram import histogram
from adaptive_middleware.pictures.judged import judged
from adaptive_middleware.pictures.page import Page, Section
from adaptive_middleware.pictures.picture import NONE, Picture, Table, percent
from adaptive_middleware.pictures.reliability import reliability
from adaptive_middleware.pictures.written import write

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "all": "all paths",
        QUESTION: "questions alone",
        PARTIAL: "partial answers",
        FINISHED: "finished answers",
    }
)
_COLUMNS = ("held out", "problems", "paths", "ECE", "Brier", "AUROC", "10 % bound kept")
_MEASURES = (
    "ECE is the expected calibration error over ten equally wide bins, Brier the mean squared difference to the "
    "measured success rate; for both, 0 is best. AUROC, for finished answers, is the probability that a right one "
    "scores above a wrong one: 0.5 is guessing, 1 is perfect. The 10 % bound should be kept by 90 %; after ± stands "
    "its standard error."
)
_INTERVALS = (
    "Intervals are 95 % percentile intervals of 2000 bootstrap resamples of the problems; fewer than five problems "
    "give none."
)


def calibration_report(  # noqa: PLR0913 - a report's parts are its parameters
    out: Path,
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    calibration: Calibration,
    held_out: Sequence[Example],
    notes: Sequence[str] = (),
) -> Path:
    """Write `out/report.html`, `out/pictures/*.svg` and `*.png`; returns the path of the page.

    `facts` are (name, value) pairs shown at the top; `held_out` are paths of problems that the calibration was not
    fitted on; `notes` stand at the end.

    Raises `CalibrationError` when there are no examples or one cannot be used, `AdaptiveError` when `out` cannot be
    written to.
    """
    evaluations = evaluate(calibration, held_out)
    sections = (
        Section("In numbers", (_MEASURES, _INTERVALS), _table(evaluations, calibration, held_out)),
        Section("Is a probability what it says?", pictures=_reliability(calibration, held_out)),
        Section("Does it tell right from wrong?", pictures=(_histogram(calibration, held_out),)),
        Section(
            "Do the bounds hold?",
            pictures=(coverage_curve(calibration, held_out, "coverage", "Coverage of the quantiles"),),
        ),
    )
    return write(out, Page(title, tuple(facts), sections, tuple(notes)))


def _table(
    evaluations: Mapping[str, Evaluation], calibration: Calibration, held_out: Sequence[Example]
) -> Table:
    rows = [
        (
            _KINDS[kind],
            f"{found.problems:,}",
            f"{found.paths:,}",
            _change(found.ece_raw, found.ece_calibrated),
            _change(found.brier_raw, found.brier_calibrated),
            _separation(calibration, held_out) if kind == FINISHED else NONE,
            f"{percent(found.coverage.share)} ± {percent(found.coverage.error)}",
        )
        for kind, found in evaluations.items()
    ]
    return Table("Raw score → calibrated probability", _COLUMNS, tuple(rows))


def _change(raw: float, calibrated: float) -> str:
    return f"{raw:.3f} → {calibrated:.3f}"


def _separation(calibration: Calibration, held_out: Sequence[Example]) -> str:
    paths = judged(calibration, [e for e in held_out if e.kind == FINISHED])
    success = paths.success.tolist()
    if len(set(success)) < 2:
        return NONE
    return _change(*(metrics.auroc(side.probabilities.tolist(), success) for side in paths.sides))


def _reliability(calibration: Calibration, held_out: Sequence[Example]) -> tuple[Picture, ...]:
    """Of all paths, then of each kind where there are several."""
    whole = reliability(judged(calibration, held_out), "reliability", "Reliability, all paths")
    own = {kind: [e for e in held_out if e.kind == kind] for kind in _KINDS}
    kinds = [(kind, rows) for kind, rows in own.items() if rows]
    if len(kinds) < 2:
        return (whole,)

    def picture(kind: str, rows: Sequence[Example]) -> Picture:
        return reliability(judged(calibration, rows), f"reliability-{kind}", f"Reliability, {_KINDS[kind]}")

    return (whole, *starmap(picture, kinds))


def _histogram(calibration: Calibration, held_out: Sequence[Example]) -> Picture:
    """Of finished answers, which are right or wrong; of all paths where none is finished."""
    finished = [e for e in held_out if e.kind == FINISHED]
    what = FINISHED if finished else "all"
    return histogram(judged(calibration, finished or held_out), "scores", f"Scores, {_KINDS[what]}")
