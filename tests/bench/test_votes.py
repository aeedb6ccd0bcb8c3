import json
from pathlib import Path

import numpy as np
import pytest

from adaptive_middleware.recording import Problem, RecordedSample, write_recording
from bench.votes import ballots, gain, main, priced, stopped, watched
from tests.calibration.ballots import ballots as made


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    problems = [
        Problem(
            one.group,
            samples=tuple(
                RecordedSample(f"It is {said}.", right, 5, answer=said)
                for said, right in zip(one.answers, one.correct, strict=True)
            ),
        )
        for one in made(24, 10, seed=1)
    ]
    write_recording(tmp_path / "made.jsonl", problems)
    return tmp_path / "made.jsonl"


def test_a_recording_becomes_the_ballots_it_was_made_from(recording: Path) -> None:
    assert ballots(recording) == made(24, 10, seed=1)


def test_accuracy_and_samples_are_those_at_the_first_stop_or_at_the_end() -> None:
    right = np.array([[[1, 0, 0], [0, 1, 0]]], dtype=float)
    seen = np.stack([right] * 4, axis=-1)
    accuracy, samples = stopped(seen, np.array([[[False, True, True], [False, True, False]]]))
    assert (accuracy.tolist(), samples.tolist()) == ([0.5], [2.0])
    accuracy, samples = stopped(seen, np.zeros((1, 2, 3), dtype=bool))
    assert (accuracy.tolist(), samples.tolist()) == ([0.0], [3.0])


def test_what_is_seen_ends_with_the_majority_of_all_answers(recording: Path) -> None:
    data = ballots(recording)
    seen = watched(data)
    assert seen.shape == (24, 20, 10, 4)
    for number, ballot in enumerate(data):
        counts = sorted((ballot.answers.count(said) for said in set(ballot.answers)), reverse=True)
        if (*counts, 0)[0] > (*counts, 0)[1]:
            leader = max(set(ballot.answers), key=ballot.answers.count)
            assert set(seen[number, :, -1, 0]) == {float(leader == "right")}
    assert np.allclose(gain(seen)[..., 3], (1 - seen[..., 3, 2]) * (1 - seen[..., 3, 1]) / 4)


def test_the_price_of_a_problem_is_chosen_on_other_problems(recording: Path) -> None:
    data = ballots(recording)
    seen, groups = watched(data), [one.group for one in data]
    rival = stopped(seen, np.zeros(seen.shape[:3], dtype=bool))[0]
    honest = priced(seen, groups, rival)
    flipped = seen.copy()
    flipped[3, :, :, 0] = 1 - flipped[3, :, :, 0]
    assert priced(flipped, groups, rival)[1][3] == honest[1][3]
    assert (priced(seen, groups, np.zeros(24))[1] == 1).all()


def test_the_command_prints_every_rule_and_the_priced_one_below_it(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(recording), "--json"]) == 0
    printed = capsys.readouterr()
    rules = [row["rule"] for row in json.loads(printed.out)]
    assert rules[6:8] == ["Beta 0.9", "  priced, for Beta 0.9"]
    assert "calibrated votes: ECE" in printed.err
    assert main([str(recording)]) == 0
    assert "majority@10" in capsys.readouterr().out
    assert main(["none.jsonl"]) == 1
    assert "none.jsonl" in capsys.readouterr().err
