"""`what-if`: policies asked again on kept calls; the policy that made them is reproduced exactly."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean as average
from statistics import stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from adaptive_middleware import Request, agreement, best_of_n, optimal_stopping
from adaptive_middleware.cli import app
from adaptive_middleware.cli.what_if_figures import Mean, bounds, mean
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Verdict
from tests.trace.made import asked, calibrate, kept, plain_calls

OTHER = Request("What is 3 + 2?", model="small")


def told(store: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["what-if", "--store", str(store), "--json", *arguments])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(store: Path, *policies: str) -> dict[str, dict[str, Any]]:
    options = [part for policy in policies for part in ("--policy", policy)]
    return {row["policy"]: row for row in told(store, *options)["rows"]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two questions: one whose second answer was good enough, and one with a good first answer."""
    file = tmp_path / "traces.db"
    for request, answers in ((SUM_OF_TWO, ("5", "4")), (OTHER, ("4",))):
        asked(file, [answer(text, tokens=10) for text in answers], request)
    return file


SUM_OF_TWO = Request("What is 2 + 2?", model="small")


def test_the_policy_that_made_the_calls_is_reproduced_exactly(store: Path) -> None:
    found = rows(store, "optimal-stopping:target=0.9")
    actual, again = found["as it was"], found["optimal-stopping:target=0.9"]
    assert actual["samples"] == again["samples"]
    assert actual["tokens"] == again["tokens"]
    assert (actual["samples"]["mean"], actual["tokens"]["mean"]) == (1.5, 15.0)
    assert again["asked_for_more"] == 0.0


@settings(max_examples=15)
@given(
    st.lists(st.lists(st.sampled_from("3456"), min_size=8, max_size=8), min_size=1, max_size=4), st.booleans()
)
def test_any_calls_are_reproduced_by_their_own_policy(
    tmp_path_factory: pytest.TempPathFactory, scripts: list[list[str]], votes: bool
) -> None:
    file = tmp_path_factory.mktemp("store") / "traces.db"
    policy, name = (
        (agreement(0.9), "agreement:confidence=0.9,max=8")
        if votes
        else (optimal_stopping(0.9), "optimal-stopping:target=0.9,max=8")
    )
    for number, script in enumerate(scripts):
        strategy = best_of_n(policy, max_samples=8, calibrate=calibrate, score=not votes)
        asked(
            file,
            [answer(text, tokens=len(text) + at) for at, text in enumerate(script)],
            Request(str(number)),
            strategy=strategy,
        )
    found = rows(file, name)
    assert found[name]["samples"] == found["as it was"]["samples"]
    assert found[name]["tokens"] == found["as it was"]["tokens"]


def test_a_policy_that_asks_for_more_than_was_drawn_is_marked(store: Path) -> None:
    found = rows(store, "fixed:n=1", "fixed:n=2")
    assert (found["fixed:n=1"]["samples"]["mean"], found["fixed:n=1"]["asked_for_more"]) == (1.0, 0.0)
    assert (found["fixed:n=2"]["samples"]["mean"], found["fixed:n=2"]["asked_for_more"]) == (1.5, 0.5)
    assert "Asked for more" in CliRunner().invoke(app, ["what-if", "--store", str(store)]).stdout


def test_without_feedback_accuracy_is_not_known_and_the_page_says_how_to_know_it(store: Path) -> None:
    assert {row["accuracy"] for row in told(store)["rows"]} == {None}
    assert "feedback" in CliRunner().invoke(app, ["what-if", "--store", str(store)]).stdout


def test_what_is_not_known_of_an_answer_counts_once_as_wrong_and_once_as_right(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    with kept(file) as (middleware, sink):
        right = middleware.run(SUM_OF_TWO, Script("5", "4"))
        wrong = middleware.run(OTHER, Script("5", "4"))
        sink.flush()
        middleware.feedback(str(right.id), correct=True)
        middleware.feedback(str(wrong.id), correct=False)
    found = rows(file, "fixed:n=1")
    assert found["as it was"]["accuracy"] == [0.5, 0.5]
    # the first answer of the first call was another than the right one; of the second call's nothing is known
    assert found["fixed:n=1"]["accuracy"] == [0.0, 0.5]
    assert found["fixed:n=1"]["judged_calls"] == 2
    low, high = found["fixed:n=1"]["accuracy_ci95"]
    assert low == 0.0
    assert 0.5 < high <= 1.0
    shown = CliRunner().invoke(app, ["what-if", "--store", str(file), "--policy", "fixed:n=1"]).stdout
    assert "0.0% to 50.0% (2)" in shown
    assert "50.0% (2)" in shown


class Script:
    """A sampler of one call."""

    def __init__(self, *texts: str) -> None:
        self.left = [answer(text, tokens=10) for text in texts]

    def sample(self, request: Request, n: int) -> list[Any]:
        drawn, self.left = self.left[:n], self.left[n:]
        return drawn


class Fours:
    """A verifier that passes the answer 4."""

    def verify(self, request: Request, paths: Any) -> list[Verdict]:
        return [Verdict(path.text == "4") for path in paths]


def test_verdicts_are_known_and_move_the_belief_again(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    strategy = best_of_n(optimal_stopping(0.9), calibrate=calibrate, verify=True)
    with kept(file, strategy, Fours()) as (middleware, _):
        middleware.run(SUM_OF_TWO, Script("5", "4"))
    found = rows(file, "optimal-stopping:target=0.9", "fixed:n=1")
    assert found["optimal-stopping:target=0.9"]["samples"]["mean"] == 2.0
    assert found["optimal-stopping:target=0.9"]["accuracy"] == [1.0, 1.0]
    assert found["fixed:n=1"]["accuracy"] == [0.0, 0.0]


def test_calls_without_texts_can_be_asked_about_too(tmp_path: Path) -> None:
    asked(tmp_path / "traces.db", ("5", "4"), level="none")
    assert rows(tmp_path / "traces.db", "fixed:n=1")["fixed:n=1"]["samples"]["mean"] == 1.0


def test_calls_that_were_passed_through_are_counted_and_left_out(store: Path) -> None:
    plain_calls(store, 3)
    found = told(store)
    assert (found["calls"], found["questions"], found["left_out"]) == (2, 2, 3)


def test_nothing_to_ask_about_is_an_error(tmp_path: Path) -> None:
    plain_calls(tmp_path / "traces.db", 1)
    done = CliRunner().invoke(app, ["what-if", "--store", str(tmp_path / "traces.db")])
    assert (done.exit_code, "no call to ask about: 1 were found" in done.stderr) == (1, True)


def test_an_unknown_policy_is_refused(store: Path) -> None:
    done = CliRunner().invoke(app, ["what-if", "--store", str(store), "--policy", "fixd:n=1"])
    assert done.exit_code == 2
    assert "did you mean 'fixed'" in done.stderr


def test_dollars_go_with_the_tokens(store: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE calls SET usd = 0.002 WHERE samples = 2")
    connection.close()
    found = rows(store, "fixed:n=1")
    assert found["as it was"]["usd"]["mean"] == pytest.approx(0.002)
    assert found["fixed:n=1"]["usd"]["mean"] == pytest.approx(0.001)
    assert (
        "0.00100"
        in CliRunner().invoke(app, ["what-if", "--store", str(store), "--policy", "fixed:n=1"]).stdout
    )


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_with_one_value_a_group_the_error_is_that_of_the_mean(values: list[float]) -> None:
    found = mean([str(i) for i in range(len(values))], values)
    assert found.value == pytest.approx(average(values), abs=1e-9)
    assert found.error == pytest.approx(stdev(values) / len(values) ** 0.5, abs=1e-9)


def test_repeated_values_of_a_group_do_not_make_the_mean_surer() -> None:
    once = mean(["a", "b", "c"], [1.0, 2.0, 4.0])
    thrice = mean(["a", "b", "c"] * 3, [1.0, 2.0, 4.0] * 3)
    assert thrice.value == once.value
    assert thrice.error == pytest.approx(once.error)
    assert thrice.groups == 3
    assert mean([], []) == Mean(0.0, 0.0, 0)


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (3, 10), (50, 100)])
def test_the_interval_of_a_share_is_wilsons(right: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = [1.0] * right + [0.0] * (n - right)
    found = bounds(mean([str(i) for i in range(n)], values))
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high), rel=0.06, abs=0.01)
