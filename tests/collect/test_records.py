"""Records: answers survive the journal, and cuts are proper, few and the same every time."""

from __future__ import annotations

import json
from math import fsum
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.collect.records import Answer, answer_of, answer_row, cost, cuts, finished
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Path, Usage

STEPS = st.lists(st.text("ab", min_size=1, max_size=3).map(lambda text: f"{text}\n"), max_size=6).map(tuple)


@given(STEPS, st.booleans(), st.data())
def test_an_answer_read_from_the_journal_is_the_one_that_was_drawn(
    steps: tuple[str, ...], done: bool, data: st.DataObject
) -> None:
    logprobs = tuple(data.draw(st.lists(st.floats(-20, 0), min_size=len(steps), max_size=12)))
    ends = tuple(range(1, len(steps) + 1))
    drawn = Drawn(
        Path(steps, done, logprobs=logprobs or None, usage=Usage(completion_tokens=5)),
        ends if logprobs else (),
    )
    answer = answer_of(json.loads(json.dumps(answer_row(drawn))))
    assert (answer.steps, answer.done, answer.text) == (steps, done, "".join(steps))
    assert answer.tokens == (len(logprobs) or 5)
    if logprobs and steps and len(logprobs) != 2:
        assert answer.logprobs == (min(logprobs), fsum(logprobs) / len(logprobs))
        assert answer.until is not None
        assert [pair[0] for pair in answer.until[:1]] == [logprobs[0]]


@given(st.lists(STEPS, max_size=5), st.integers(0, 4), st.integers(0, 9))
def test_cuts_are_proper_prefixes_at_most_so_many_of_each_and_the_same_again(
    answers: list[tuple[str, ...]], most: int, seed: int
) -> None:
    drawn = [Answer(steps, True) for steps in answers]
    found = cuts(drawn, most, Random(seed))
    assert found == cuts(drawn, most, Random(seed))
    assert len(found) == sum(min(most, max(len(steps) - 1, 0)) for steps in answers)
    rest = list(found)
    for steps in answers:
        own, rest = rest[: min(most, max(len(steps) - 1, 0))], rest[min(most, max(len(steps) - 1, 0)) :]
        sizes = [len(prefix.steps) for prefix in own]
        assert sizes == sorted(set(sizes))
        assert all(0 < size < len(steps) for size in sizes)
        assert all(prefix.steps == steps[: len(prefix.steps)] for prefix in own)
        assert all("".join(steps).startswith(prefix.text) for prefix in own)


def test_every_cut_is_as_likely_as_any_other() -> None:
    answer = Answer(tuple("abcde"), True)
    sizes = [len(prefix.steps) for seed in range(4000) for prefix in cuts([answer], 1, Random(seed))]
    assert all(
        abs(sizes.count(size) - 1000) < 5 * 27.4 for size in (1, 2, 3, 4)
    )  # sqrt(4000 / 4 * 3 / 4) = 27.4


@pytest.mark.parametrize(
    ("done", "reason", "ended"),
    [
        (True, "stop", True),
        (True, None, True),
        (True, "length", False),
        (True, "max_tokens", False),
        (False, None, False),
    ],
)
def test_an_answer_that_its_limit_cut_is_not_finished(done: bool, reason: str | None, ended: bool) -> None:
    assert finished(Path(("a",), done, reason)) is ended


def test_a_sampler_that_tells_no_tokens_is_reckoned_at_four_characters_each() -> None:
    told = [Path(("abcd" * 5,), usage=Usage(7, 3)), Path(("x",), usage=Usage(0, 2))]
    assert cost(told, "ignored") == {"prompt_tokens": 7, "completion_tokens": 5}
    silent = [Path(("abcd" * 5,)), Path(("x",))]
    assert cost(silent, "four" * 3) == {"prompt_tokens": 6, "completion_tokens": 6}
    assert cost([], "four") == {"prompt_tokens": 1, "completion_tokens": 0}
