"""Fitting what was collected: split by problem, enough of them, and honest where there is no calibration."""

from __future__ import annotations

import gzip
import json
from pathlib import Path as File
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS
from adaptive_middleware.calibration.evaluate import evaluate
from adaptive_middleware.calibration.examples import fingerprint, read
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.collect.fitting import FALLBACK, Split, enough, fewest, fitted, held_out_ids, split
from adaptive_middleware.collect.measured import Measured, Problem, Tally, write_rows
from adaptive_middleware.errors import CalibrationError


def rows(problem: str, chance: float, *, rollouts: int = 8) -> list[Measured]:
    dice = Random(problem)
    score = min(max(chance + dice.uniform(-0.1, 0.1), 0.0), 1.0)

    def ends(n: int) -> int:
        return sum(dice.random() < chance for _ in range(n))

    found = [Measured(problem, 1, (), False, ends(rollouts), rollouts, None, (score,))]
    found += [Measured(problem, 1, ("a\n", "b"), True, ends(1), 1, None, (score, score)) for _ in range(4)]
    return found


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{k}", tuple(rows(f"p{k}", (k % 9 + 1) / 10)), Tally(answers=4)) for k in range(count)]


@given(
    st.sets(st.text(min_size=1, max_size=3), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_the_split_is_the_asked_share_of_problems_in_any_order(
    ids: set[str], share: float, seed: int
) -> None:
    held_out = held_out_ids(sorted(ids), share, seed)
    assert held_out == held_out_ids(sorted(ids, reverse=True), share, seed)
    assert held_out <= ids
    assert len(held_out) == max(round(share * len(ids)), 1)


def test_no_problem_is_on_both_sides_and_none_is_lost() -> None:
    found = problems(30)
    held_out = held_out_ids([problem.id for problem in found], 0.3, 0)
    parts = split(found, held_out)
    assert {row.problem for row in parts.held_out} == held_out
    assert {row.problem for row in parts.fitted} == {problem.id for problem in found} - held_out
    assert len(parts.fitted) + len(parts.held_out) == sum(len(problem.rows) for problem in found)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.5, 0.9])
def test_the_fewest_problems_leave_exactly_enough_to_fit_on(share: float) -> None:
    def left(n: int) -> int:
        return n - len(held_out_ids([str(k) for k in range(n)], share, 0))

    assert left(fewest(share)) >= FEWEST_PROBLEMS
    assert all(left(n) < FEWEST_PROBLEMS for n in range(1, fewest(share)))


def test_too_few_problems_are_refused_with_how_many_are_needed_and_the_fallback() -> None:
    enough(13, 0.3)
    with pytest.raises(CalibrationError, match=r"12 prompts are too few: .* so 13 in all") as refused:
        enough(12, 0.3)
    assert FALLBACK in str(refused.value)


def test_the_bundle_says_what_it_was_fitted_for_and_on(tmp_path: File) -> None:
    found = problems(40)
    parts = split(found, held_out_ids([problem.id for problem in found], 0.3, 0))
    result = fitted(parts, fit, prm="my/prm", generator="my/model")
    write_rows(tmp_path / "fit.jsonl.gz", parts.fitted)
    write_rows(tmp_path / "out.jsonl.gz", parts.held_out)
    examples, held_out = read(tmp_path / "fit.jsonl.gz"), read(tmp_path / "out.jsonl.gz")
    assert (result.bundle.prm, result.bundle.generator) == ("my/prm", "my/model")
    assert result.bundle.data_sha256 == fingerprint(examples)
    assert result.bundle.metrics["fit.problems"] == 28
    assert (
        result.bundle.metrics["all.ece_calibrated"] == evaluate(fit(examples), held_out)["all"].ece_calibrated
    )
    assert list(result.held_out) == held_out


@pytest.mark.parametrize(
    ("chance", "what"), [(0.0, "all 140 examples end wrong"), (1.0, "all 140 examples end right")]
)
def test_one_sided_data_gives_no_calibration_and_names_the_fallback(chance: float, what: str) -> None:
    found = [Problem(f"p{k}", tuple(rows(f"p{k}", chance)), Tally()) for k in range(40)]
    parts = split(found, held_out_ids([problem.id for problem in found], 0.3, 0))
    with pytest.raises(CalibrationError, match=f"no calibration is possible: {what}") as refused:
        fitted(parts, fit, prm="p", generator="g")
    assert "the prior is then uniform over [0, 1]" in str(refused.value)


def test_without_a_finished_held_out_problem_nothing_is_claimed() -> None:
    parts = Split(tuple(row for problem in problems(20) for row in problem.rows), ())
    with pytest.raises(CalibrationError, match="no held-out problem is finished"):
        fitted(parts, fit, prm="p", generator="g")


def test_rows_are_written_as_the_examples_format_says_and_byte_for_byte_the_same(tmp_path: File) -> None:
    own = problems(2)[0].rows
    write_rows(tmp_path / "a.jsonl.gz", own)
    write_rows(tmp_path / "b.jsonl.gz", own)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    lines = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()
    named = {"problem", "level", "steps", "scores", "done", "success", "rollouts", "logprobs", "tokens"}
    assert all(set(json.loads(line)) == named for line in lines)
    assert [row.example() for row in own] == read(tmp_path / "a.jsonl.gz")
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []
