import pytest

from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.cli.replay_calibration import calibrators
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.recording import Problem, RecordedSample
from adaptive_middleware.replay import Tape, tape
from tests.calibration.world import lengthy


def tapes(weight: float) -> list[Tape]:
    """Twenty-two recorded problems whose answers have one score, a length, and no log-probabilities."""
    samples: dict[str, list[RecordedSample]] = {}
    for row in lengthy(22, 6, seed=1, weight=weight):
        sample = RecordedSample("an answer", row.success == 1, row.tokens or 0, prm_score=row.scores[0])
        samples.setdefault(row.group, []).append(sample)
    return [tape(Problem(name, samples=tuple(own))) for name, own in samples.items()]


def maps(recorded: list[Tape], how: str | None) -> set[str]:
    fitted = calibrators(recorded, how, seed=0)[0]
    return {name for one in fitted if isinstance(one, Calibration) for name in one.maps}


def test_the_recorded_lengths_are_evidence_where_they_tell() -> None:
    assert "finished+length" in maps(tapes(-2.0), None)


def test_what_is_read_beside_the_scores_can_be_fixed() -> None:
    fitted, how = calibrators(tapes(0.0), "crossfit=length", seed=0)
    assert how.endswith("fitted on others only, reading length")
    assert all(isinstance(one, Calibration) and "any+length" in one.maps for one in fitted)
    assert not any("+" in name for name in maps(tapes(-2.0), "crossfit=scores"))


def test_evidence_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CalibrationError, match="possible are logprobs, length"):
        calibrators(tapes(0.0), "crossfit=colour", seed=0)


def test_too_few_problems_are_an_error_only_where_a_fit_was_asked_for() -> None:
    few = tapes(0.0)[:5]
    fitted, how = calibrators(few, None, seed=0)
    assert fitted == [uncalibrated] * 5
    assert "cannot cross-fit" in how
    with pytest.raises(CalibrationError, match="too few"):
        calibrators(few, "crossfit=scores", seed=0)
