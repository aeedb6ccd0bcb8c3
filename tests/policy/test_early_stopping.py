"""Early-Stopping Self-Consistency: windows are drawn until one is unanimous."""

from __future__ import annotations

import os
import random
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy import early_stopping
from adaptive_middleware.recording import read_recording
from adaptive_middleware.replay import as_written, recorded_answer, replay, take, tape
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import majority_vote
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Candidate, Decision, State

SHARED = Path(os.environ.get("ADAPTIVE_SHARED", Path(__file__).parents[2].parent / "shared"))
LETTERS = SHARED / "pools" / "esc_lastletters_gpt35_500x40.jsonl.gz"


def decide(answers: str, window: int) -> Decision:
    """What is decided after these answers, one letter each; '-' is a sample without an answer."""
    drawn = tuple(Candidate(answer(letter), answer=None if letter == "-" else letter) for letter in answers)
    return early_stopping(window)(State(drawn, uniform(), 64))


@pytest.mark.parametrize(
    ("answers", "more"),
    [
        ("", 3),
        ("aaa", 0),
        ("aab", 3),
        ("abbaaa", 0),
        ("abbbab", 3),  # three b in a row, but across two windows
        ("a", 2),  # two samples of the window were lost
        ("aabaa", 1),
        ("---", 3),  # no answer agrees with no answer
        ("aa-", 3),
        ("---aaa", 0),
    ],
)
def test_only_a_whole_unanimous_window_stops(answers: str, more: int) -> None:
    assert decide(answers, 3).more == more


def test_the_decision_says_why() -> None:
    assert decide("aba", 3).because == "the last window of 3 gave 2 different answers"
    assert decide("aa-", 3).because == "the last window of 3 lacks an answer"
    assert decide("aaa", 3).because == "all 3 samples of the last window agree"
    assert decide("aaab", 3).because == "2 more complete a window of 3"
    assert dict(decide("aba", 3).numbers) == {"answers": 2, "finished": 3, "window": 3}


@given(answers=st.text("ab-", max_size=24), window=st.integers(1, 6))
def test_it_stops_exactly_where_cutting_the_answers_into_windows_does(answers: str, window: int) -> None:
    cut = [answers[at : at + window] for at in range(0, len(answers), window)]
    last = cut[-1] if cut else ""
    expected = len(last) == window and last in {"a" * window, "b" * window}
    decision = decide(answers, window)
    assert (decision.more == 0) == expected
    assert expected or (len(answers) + decision.more) % window == 0


@pytest.mark.skipif(not LETTERS.exists(), reason="the shared pools are not here")
@pytest.mark.parametrize(("window", "accuracy", "samples"), [(5, 0.8145, 9.36), (3, 0.8125, 4.68)])
def test_the_measured_table_of_the_last_letters_is_reproduced(
    window: int, accuracy: float, samples: float
) -> None:
    rng = random.Random(7)
    strategy = best_of_n(
        early_stopping(window), max_samples=40, select=majority_vote, answer=recorded_answer, score=False
    )
    right, drawn = [], []
    for problem in read_recording(LETTERS):
        played = tape(problem, as_written)
        for _ in range(3):
            outcome = replay(played, strategy, rng.sample(range(40), 40))
            right.append(take(outcome.chosen).correct)
            drawn.append(len(outcome.considered))
    n = len(right)
    mean = sum(drawn) / n
    deviation = sqrt(sum((one - mean) ** 2 for one in drawn) / n)
    assert sum(right) / n == pytest.approx(accuracy, abs=0.008)
    assert mean == pytest.approx(samples, abs=3 * deviation / sqrt(n))
