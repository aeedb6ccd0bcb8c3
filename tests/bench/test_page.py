"""The page and its notes: what is missing is said, losses are marked, and unknown numbers are not invented."""

from dataclasses import replace
from math import nan

from adaptive_middleware.types import Belief
from bench.allocation.board import FIXED, SETTING, Part
from bench.allocation.markdown import page
from bench.allocation.measure import measure
from bench.allocation.parts import replayed_part, verified_part
from bench.allocation.recordings import Pool, Source
from bench.allocation.rows import Row, Span
from bench.allocation.views import View
from tests.bench.recordings import counted, scored


def pool(*, verified: bool, question_tokens: int | None = 4) -> Pool:
    problems = counted((0, 300), (3, 300), (200, 400)) if verified else scored(9, 4, logprobs=False)
    tokens = tuple(replace(one, question_tokens=question_tokens) for one in problems)
    return Pool(Source("made", __file__, "made up"), tokens, verified, 4, 4, 2, "as recorded")  # type: ignore[arg-type]


def row(share: Span | None) -> Row:
    return Row("a rule; set so", SETTING, Span(0.5, 0.4, 0.6), 1.5, nan, 20.0, 0.0, share)


def shown(one: Row) -> str:
    return page([Part("made", "", (), (one,))], 3, ()).splitlines()[-1]


def test_an_absent_recording_is_a_section_that_says_so() -> None:
    text = page([Part("gone", "what it would be", ("absent: not on this machine",))], 0, ())
    assert text.endswith("## gone\n\nWhat it would be.\n\n- absent: not on this machine.\n")


def test_the_command_and_the_seed_stand_at_the_top() -> None:
    assert "make bench-allocation\n" in page([], 3, ())
    assert 'make bench-allocation RECORDINGS="a.jsonl b.jsonl"\n' in page([], 3, ("a.jsonl", "b.jsonl"))
    assert "Seed 3 " in page([], 3, ())


def test_a_rule_that_costs_more_than_fixed_n_is_marked() -> None:
    assert shown(row(Span(1.2, 0.9, 1.5))).endswith("| 120% [90%, 150%] *worse* |")
    assert shown(row(Span(0.8, 0.0, 1.5))).endswith("| 80% [>max, 150%] |")


def test_a_rule_beyond_fixed_n_has_no_share_and_an_unknown_cost_no_number() -> None:
    assert shown(row(None)) == "| a rule; set so | 50.0% [40.0%, 60.0%] | 1.50 | n/a | 20 | 0 | >max |"


def test_a_verified_pool_with_priors_has_the_rules_that_read_them() -> None:
    one = pool(verified=True)
    priors = {problem.id: Belief((0.01, 0.5), (0.5, 0.5)) for problem in one.problems}
    names = {found.policy.split("; ")[0] for found in verified_part(one, priors, 0).matches[0].rows}
    assert {"give up, predictor", "IAS with the predicted p, stop at success"} <= names
    assert not any("predict" in note for note in verified_part(one, priors, 0).notes)


def test_a_verified_pool_without_priors_says_so() -> None:
    notes = verified_part(pool(verified=True), None, 0).notes
    assert "3 problems, 300 to 400 (used up to 4) checked samples each" in notes
    assert any(note.startswith("no predictor of difficulty ran") for note in notes)


def test_a_replayed_part_notes_which_signals_are_missing() -> None:
    one = pool(verified=False, question_tokens=None)
    one = replace(one, problems=tuple(replace(problem, question_score=None) for problem in one.problems))
    part = replayed_part(one, [measure(one, view, ()) for view in (View.votes, View.raw)], 0)
    notes = " ".join(part.notes)
    assert "log-probabilities are not recorded" in notes
    assert "no score of the question alone is recorded" in notes
    assert "prompt tokens are not known" in notes
    assert {found.policy.split(";")[0] for found in part.rows} == {
        "fixed N, majority",
        "fixed N, argmax, raw score",
    }


def test_where_only_scores_are_recorded_their_argmax_is_simply_the_argmax() -> None:
    one = pool(verified=False)
    part = replayed_part(one, [measure(one, view, ()) for view in (View.votes, View.scores)], 0)
    assert [match.reference.policy for match in part.matches] == ["fixed 4, argmax", "fixed 4, majority"]


def test_fixed_n_is_one_table_with_n_across() -> None:
    rows = tuple(
        replace(row(None), policy=f"fixed N, {name}; N = {n}", group=FIXED) for name, n in FIXED_ROWS
    )
    lines = page([Part("made", "", (), rows, unit="samples")], 0, ()).splitlines()[-4:]
    assert lines == [
        "| accuracy @ samples | 1 | 8 | 16 |",
        "| --- | --- | --- | --- |",
        "| fixed N, majority | 50.0% @ 1.5 |  | 50.0% @ 1.5 |",
        "| fixed N, argmax |  | 50.0% @ 1.5 |  |",
    ]


FIXED_ROWS = (("majority", 1), ("majority", 16), ("argmax", 8))
