"""Which calibration each problem of a replay gets: cross-fitted, raw, or a bundle from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from pathlib import Path as File

from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.replay import Tape, take

_CROSSFITTED = "calibration cross-fitted: each problem's is fitted on others only"


def calibrators(tapes: Sequence[Tape], how: str | None, seed: int) -> tuple[list[Calibrator], str]:
    """One calibrator per tape, and a line that says which they are.

    `how` is `raw`, `crossfit`, the path of a bundle, or None: crossfit where the recording allows it, else
    raw. `crossfit=length`, `crossfit=logprobs`, `crossfit=logprobs+length` and `crossfit=scores` fix what is read beside
    the scores, which `crossfit` leaves to the data. Raises `CalibrationError` when what was asked for by name is not possible.
    """
    if not any(one.scored for one in tapes):
        return [uncalibrated] * len(tapes), "no scores are recorded, so nothing is calibrated"
    if how == "raw":
        return [uncalibrated] * len(tapes), "raw scores, taken at their word"
    asked, fixed, groups = (how or "crossfit").partition("=")
    if asked != "crossfit":
        from adaptive_middleware.calibration.bundle import load  # noqa: PLC0415 - only with a bundle

        bundle = load(File(str(how)))
        return [bundle.calibration] * len(tapes), f"calibration {how}, fitted for {bundle.prm}"
    evidence = [group for group in groups.split("+") if group != "scores"] if fixed else None
    try:
        return _crossfitted(tapes, seed, evidence), f"{_CROSSFITTED}{f', reading {groups}' if fixed else ''}"
    except (CalibrationError, ImportError) as error:
        if how is not None:
            raise
        return [uncalibrated] * len(tapes), f"raw scores, taken at their word: cannot cross-fit ({error})"


def _crossfitted(tapes: Sequence[Tape], seed: int, evidence: Sequence[str] | None) -> list[Calibrator]:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # noqa: PLC0415 - comes with scikit-learn

    from adaptive_middleware.calibration.crossfit import crossfit  # noqa: PLC0415 - loads scikit-learn

    examples = [example for one in tapes for example in _examples(one)]
    with threadpool_limits(1):  # the matrices are tiny: more threads only wait for each other
        fitted = crossfit(examples, seed=seed, evidence=evidence)
    return [fitted[group] if (group := str(one.request.run_id)) in fitted else uncalibrated for one in tapes]


def _examples(one: Tape) -> Iterator[Example]:
    group = str(one.request.run_id)
    right = [float(take(path).correct) for path in one.paths]
    if one.question.values:
        yield Example(one.question.values, 0, False, None, fsum(right) / len(right), len(right), group)
    for path, success in zip(one.paths, right, strict=True):
        scores, tokens = take(path).scores.values, path.usage.completion_tokens
        if scores:
            yield Example(scores, len(path.steps), True, path.logprobs, success, 1, group, tokens)
