"""The whole board on small recordings: written twice alike, readable, and honest about what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adaptive_middleware.policy import agreement, fixed
from adaptive_middleware.recording import write_recording
from adaptive_middleware.strategies.select import majority_vote
from bench.allocation import __main__ as command
from bench.allocation.board import Contender, Match, any_rule
from bench.allocation.markdown import headline
from bench.allocation.measure import measure
from bench.allocation.policies import Play, Rule, Setting, Terms
from bench.allocation.recordings import Pool, Source, given, load, standard
from bench.allocation.rows import Row, Span
from bench.allocation.run import board, priors_of
from bench.allocation.views import View
from tests.bench.recordings import counted, scored

FEW = ("--orders", "2")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recordings")
    write_recording(folder / "scored.jsonl.gz", scored(8, 5))
    write_recording(folder / "counted.jsonl", counted(*[(i, 300) for i in range(6)]))
    return [str(folder / "scored.jsonl.gz"), str(folder / "counted.jsonl")]


@pytest.fixture(scope="module")
def written(recordings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert command.main([*recordings, "--out", str(out), "--workers", "1", *FEW]) == 0
    return out


def rows(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / "leaderboard.json").read_text())
    return found


def test_two_runs_write_the_same_bytes_whatever_the_number_of_processes(
    recordings: list[str], written: Path, tmp_path: Path
) -> None:
    assert command.main([*recordings, "--out", str(tmp_path), "--workers", "2", *FEW]) == 0
    for name in ("LEADERBOARD.md", "leaderboard.json"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_every_signal_has_rows_beside_fixed_n(written: Path) -> None:
    names = {str(row["policy"]).split("; ")[0] for row in rows(written) if row["recording"] == "scored"}
    assert {"fixed N, majority", "fixed N, argmax", "fixed N, weighted vote", "Beta vote"} <= names
    assert {"IAS, raw score", "IAS, calibrated score", "optimal stopping, neither"} <= names
    assert any(name.startswith("oracle") for name in names)


def test_each_row_of_the_file_is_complete(written: Path) -> None:
    for row in rows(written):
        assert isinstance(row["accuracy"], float)
        interval = row["accuracy_ci95"]
        assert isinstance(interval, list)
        assert interval[0] <= row["accuracy"] <= interval[1]


def test_the_page_has_a_section_a_headline_and_tables_for_each_recording(written: Path) -> None:
    text = (written / "LEADERBOARD.md").read_text()
    assert "## scored" in text
    assert "## counted" in text
    assert text.count("**fixed 4, argmax (") == text.count("**fixed 4, majority (") == 1
    assert "**cap 64, stop at success (" in text
    for table in text.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_reference_matched_to_itself_costs_itself(written: Path) -> None:
    found = {str(row["policy"]): row for row in rows(written) if row["recording"] == "counted"}
    own = found["fixed N as a cap, stop at success; chosen to match cap 64, stop at success"]
    assert own["share_at_equal_accuracy"] == 1.0


def row(name: str, difference: float, ratio: float) -> Row:
    exact = Span(0.6, 0.6, 0.6)
    spans = Span(difference, difference, difference), Span(ratio, ratio, ratio)
    return Row(f"{name}; chosen", "g", exact, 1.0, 1.0, 1.0, 1.0, exact, *spans)


def test_the_headline_names_the_cheapest_rule_that_keeps_the_accuracy_and_no_bound() -> None:
    rows = (
        row("close", -0.004, 0.7),
        row("cheap but worse", -0.01, 0.1),
        row("oracle", 0.1, 0.2),
        row("any rule", -0.02, 0.6),
        row("Beta vote", 0.0, 0.8),
    )
    said = headline(Match(row("fixed 16", 0.0, 1.0), rows, frozenset({"oracle; chosen"})), "tokens")
    assert "the cheapest within half a point is close, -0.4 [-0.4, -0.4] points at 70% of its tokens" in said
    assert "any rule, chosen on other problems, -2.0 [-2.0, -2.0] points at 60%" in said
    assert "Beta vote, 0 points at 80%" in said
    assert "cheap but worse" not in said


def test_the_headline_says_when_no_rule_is_cheaper() -> None:
    match = Match(row("fixed 16", 0.0, 1.0), (row("dear", 0.0, 1.2), row("bad", -0.1, 0.1)), frozenset())
    assert headline(match, "tokens").endswith("no rule is cheaper within half a point.")


def test_any_rule_is_every_setting_of_every_rule_but_the_bounds() -> None:
    curve = np.zeros((3, 4, 5))
    one = Contender("one", ("a", "b"), frozenset(), np.full((1, 2, 3, 5), 1.0), curve)
    two = Contender("two", ("c",), frozenset(), np.full((10, 1, 3, 5), 2.0), curve)
    bound = Contender("oracle", ("d",), frozenset(), np.full((1, 1, 3, 5), 3.0), curve, bound=True)
    found = any_rule([one, two, bound], curve)
    assert found.labels == ("one; a", "one; b", "two; c")
    assert found.figures[7, :, 0, 0].tolist() == [1.0, 1.0, 2.0]


def test_absent_recordings_say_so_and_are_no_error(tmp_path: Path) -> None:
    (part,) = board([Source("gone", tmp_path / "gone.jsonl.gz")], 0, 1, optional=True)
    assert "absent" in part.notes[0]
    assert part.rows == ()


def test_without_the_shared_pools_the_standard_run_names_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADAPTIVE_SHARED", str(tmp_path))
    missing = [one.name for one in standard() if not one.file.exists()]
    assert len(missing) == 5
    parts = board([one for one in standard() if one.name in missing], 0, 1, optional=True)
    assert [part.name for part in parts] == missing


def test_a_recording_that_was_named_and_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(tmp_path / "gone.jsonl"), "--out", str(tmp_path)]) == 1
    assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_too_few_problems_to_calibrate_are_replayed_with_raw_scores_and_a_note(written: Path) -> None:
    text = (written / "LEADERBOARD.md").read_text()
    assert "raw scores, taken at their word: cannot cross-fit" in text
    assert "7 problems are too few" in text


def test_one_problem_can_be_replayed_but_not_matched(tmp_path: Path) -> None:
    write_recording(tmp_path / "one.jsonl", counted((3, 10)))
    (part,) = board(given([str(tmp_path / "one.jsonl")]), 0, 1, optional=False)
    assert part.rows
    assert part.matches == ()


def test_a_rule_that_learns_is_set_up_without_the_fold_it_is_judged_on(tmp_path: Path) -> None:
    write_recording(tmp_path / "x.jsonl", scored(12, 4))
    (source,) = given([str(tmp_path / "x.jsonl")])
    taught: list[set[str | None]] = []

    def play(terms: Terms) -> Play:
        taught.append({one.tape.request.run_id for one in terms.training})
        n = 1 if "p0" in taught[-1] else 4
        return Play(majority_vote, (Setting("learned", fixed(n), 4, shown=True),))

    found = measure(load(source), View.votes, (Rule("learns", View.votes, play, learns=True),))
    (rule,) = found.rules
    assert rule.figures.shape == (10, 1, 12, 5)
    (without,) = [index for index, seen in enumerate(taught) if "p0" not in seen]
    assert rule.figures[without, 0, 0, 1] == 4
    assert {float(value) for value in rule.figures[:, 0, 0, 1]} == {1.0, 4.0}


def test_a_rule_that_needs_a_question_score_is_left_out_where_none_is_recorded(tmp_path: Path) -> None:
    write_recording(tmp_path / "x.jsonl", scored(3, 4))
    (source,) = given([str(tmp_path / "x.jsonl")])
    rule = Rule("asks", View.votes, lambda _: Play(majority_vote, (Setting("x", agreement(), 4),)), asks=True)
    assert measure(load(source), View.votes, (rule,)).rules == ()


def test_questions_with_texts_and_enough_problems_get_priors_and_others_none() -> None:
    texts = Pool(
        Source("made", Path("made")), tuple(counted(*[(i, 20) for i in range(10)])), True, 20, 4, 1, ""
    )
    assert set(priors_of(texts, 0) or ()) == {problem.id for problem in texts.problems}
    assert priors_of(replace(texts, problems=texts.problems[:9]), 0) is None
    silent = tuple(replace(problem, question="") for problem in texts.problems)
    assert priors_of(replace(texts, problems=silent), 0) is None
