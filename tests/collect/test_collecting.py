"""Collecting: what is measured, that a kill at any point changes nothing, and when it stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware.collect.journal import NAME, Journal
from adaptive_middleware.collect.measured import Problem
from adaptive_middleware.collect.problem import Size, measure
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.run import Collected, collect
from adaptive_middleware.collect.source import Source
from adaptive_middleware.collect.units import most_tokens, spent
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Path, Request, Usage
from tests.collect.world import IDENTITY, Luck, prompts, world

SIZE = Size(answers=3, prefixes=1, rollouts=4)


def collected(
    folder: File, asked: Sequence[Prompt], *, resume: bool = False, size: Size = SIZE, concurrency: int = 3, **parts: Any
) -> Collected:  # fmt: skip
    with Journal(folder, IDENTITY, resume=resume) as journal:
        return collect(
            asked, world(journal, **parts), size, concurrency=concurrency, watch=lambda _done, _failed: None
        )


def one(folder: File, prompt: Prompt, size: Size = SIZE, **parts: Any) -> Problem:
    with Journal(folder, IDENTITY, resume=True) as journal:
        return measure(world(journal, **parts), prompt, size)


def test_every_kind_of_path_is_measured_with_its_scores(tmp_path: File) -> None:
    sampler = Luck()
    (prompt,) = prompts(1)
    rows = one(tmp_path, prompt, sampler=sampler).rows
    kinds = Counter((bool(row.steps), row.done) for row in rows)
    assert kinds == {(False, False): 1, (True, False): 3, (True, True): 3}
    question, *others = rows
    assert (question.steps, question.rollouts, question.logprobs) == ((), 4, None)
    assert all(row.rollouts == 4 for row in others if not row.done)
    assert all(row.rollouts == 1 and row.success in {0, 1} for row in others if row.done)
    assert all(len(row.scores) == max(len(row.steps), 1) for row in rows)
    assert all(row.example().group == "p0" for row in rows)


def test_the_question_is_judged_by_its_answers_and_by_as_many_more_as_are_missing(tmp_path: File) -> None:
    (prompt,) = prompts(1)
    few = one(tmp_path / "few", prompt, Size(answers=6, prefixes=0, rollouts=4))
    assert few.rows[0].rollouts == 6
    assert few.rows[0].success == sum(row.success for row in few.rows if row.done)
    assert few.tally.rollouts == 0
    many = one(tmp_path / "many", prompt, Size(answers=2, prefixes=0, rollouts=5))
    assert many.rows[0].rollouts == 5
    assert many.tally.rollouts == 3


def test_prefix_success_is_the_binomial_that_the_world_says(tmp_path: File) -> None:
    # A prefix of this world says nothing of the end: its rollouts are right with the question's chance.
    asked = prompts(9)
    rows = [row for p in collected(tmp_path, asked, size=Size(2, 1, 200)).problems for row in p.rows]
    for row in rows:
        if row.steps and not row.done:
            chance = float(asked[int(row.problem[1:])].question.split()[1])
            error = (chance * (1 - chance) / 200) ** 0.5
            assert abs(row.success / row.rollouts - chance) < 5 * error


def test_a_prefix_that_was_drawn_twice_is_continued_once_and_counted_twice(tmp_path: File) -> None:
    class Same(Luck):
        def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
            self.calls.append((request.text, tuple(prefixes), n, seed))
            path = Path(("always\n", "the same\n", "The answer is 1."), usage=Usage(1, 3, requests=1))
            return [[Drawn(path)] * n for _ in prefixes]

    sampler = Same()
    rows = one(tmp_path, prompts(1)[0], Size(answers=4, prefixes=2, rollouts=2), sampler=sampler).rows
    continued = [prefix for _, prefixes, _, _ in sampler.calls for prefix in prefixes if prefix]
    assert sorted(continued) == ["always\n", "always\nthe same\n"]
    assert Counter(row.steps for row in rows if not row.done) == {
        (): 1,
        ("always\n",): 4,
        ("always\n", "the same\n"): 4,
    }


def test_cut_answers_and_rollouts_are_wrong_as_they_fall(tmp_path: File) -> None:
    found = one(tmp_path, Prompt("p", "chance 1.1", {"answer": "1"}), Size(40, 1, 40), sampler=Luck(cut=0.5))
    question = found.rows[0]
    finished = [row for row in found.rows if row.done]
    assert len(finished) == 40
    assert 8 <= question.success <= 32  # all that ended are right, and about half of them ended
    assert question.success == sum(row.success for row in finished)
    share = [row.success / row.rollouts for row in found.rows if row.steps and not row.done]
    assert 0.35 < sum(share) / len(share) < 0.65
    everything = found.tally.answers + found.tally.rollouts
    assert abs(found.tally.cut / everything - 0.5) < 0.1


def test_a_sampler_that_cannot_continue_gives_questions_and_finished_answers(tmp_path: File) -> None:
    sampler = Luck()
    rows = one(tmp_path, prompts(1)[0], sampler=sampler, continues=False).rows
    assert Counter((bool(row.steps), row.done) for row in rows) == {(False, False): 1, (True, True): 3}
    assert all(prefixes == ("",) for _, prefixes, _, _ in sampler.calls)


def test_several_prefixes_go_into_one_call_where_that_is_faster(tmp_path: File) -> None:
    sampler = Luck()
    one(tmp_path, prompts(1)[0], Size(5, 2, 4), sampler=sampler, together=12)
    sizes = [len(prefixes) for _, prefixes, _, _ in sampler.calls]
    assert max(sizes) == 3


def test_logprobs_and_lengths_are_those_up_to_the_cut(tmp_path: File) -> None:
    rows = one(tmp_path, prompts(1)[0], Size(6, 2, 1)).rows
    whole = {row.steps: row for row in rows if row.done}
    for row in rows:
        if row.steps and not row.done:
            assert row.tokens == len(row.steps)
            assert row.logprobs is not None
            (longer,) = [answer for steps, answer in whole.items() if steps[: len(row.steps)] == row.steps]
            assert longer.logprobs is not None
            assert row.logprobs[0] >= longer.logprobs[0]
    unknown = one(tmp_path / "unknown", prompts(1)[0], sampler=Luck(logprobs=False)).rows
    assert {row.logprobs for row in unknown} == {None}


def rows_of(found: Collected) -> list[Any]:
    return [problem.rows for problem in found.problems]


def test_a_kill_at_any_line_changes_nothing_and_repeats_nothing(tmp_path: File) -> None:
    asked = prompts(3)
    sampler = Luck()
    expected = rows_of(collected(tmp_path / "whole", asked, sampler=sampler))
    lines = (tmp_path / "whole" / NAME).read_bytes().splitlines(keepends=True)
    total = len(sampler.calls)
    for k in range(1, len(lines) + 1):
        folder = tmp_path / str(k)
        folder.mkdir()
        torn = lines[k][: len(lines[k]) // 2] if k < len(lines) else b""
        (folder / NAME).write_bytes(b"".join(lines[:k]) + torn)
        again = Luck()
        assert rows_of(collected(folder, asked, resume=True, sampler=again)) == expected
        assert len(again.calls) == total - sum(b'"answers":[[' in line for line in lines[:k])
        units = [line.split(b'"')[3] for line in (folder / NAME).read_bytes().splitlines()[1:]]
        assert len(units) == len(set(units))


def test_the_order_of_the_work_does_not_matter(tmp_path: File) -> None:
    asked = prompts(6)
    alone = rows_of(collected(tmp_path / "a", asked, concurrency=1))
    together = rows_of(collected(tmp_path / "b", asked, concurrency=6))
    backwards = rows_of(collected(tmp_path / "c", asked[::-1], concurrency=2))
    assert alone == together == backwards[::-1]


def test_another_seed_draws_other_answers_and_cuts(tmp_path: File) -> None:
    asked = prompts(3)
    assert rows_of(collected(tmp_path / "a", asked)) != rows_of(collected(tmp_path / "b", asked, seed=1))


@pytest.mark.parametrize("budget", [0, 60, 300, 1000, 10**6])
def test_the_budget_is_never_exceeded_and_a_larger_one_goes_on(tmp_path: File, budget: int) -> None:
    asked = prompts(6)
    first = collected(tmp_path, asked, budget=budget)
    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        paid = spent(journal).generator
    assert paid <= budget
    if (
        first.stopped
    ):  # what is left is not enough for the next call at its most, whatever other calls had promised
        assert budget - paid < most_tokens(
            Source("s", Luck(), 3), "chance 0.5 think 0.50 so 0.500", SIZE.rollouts
        )
    assert (first.stopped == "budget") == (len(first.problems) < 6)
    assert rows_of(collected(tmp_path, asked, resume=True)) == rows_of(collected(tmp_path / "whole", asked))


def test_the_bound_of_a_call_counts_every_answer_to_its_limit_and_its_prompt_each_time() -> None:
    source = Source("s", Luck(), 100)
    assert most_tokens(source, "x" * 80, 3) == 3 * (100 + 40 + 64)
    assert most_tokens(source, "\u00e9" * 80, 1) == 100 + 80 + 64
