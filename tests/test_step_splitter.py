"""A text cut into chunks has the steps of the whole text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import Boundary, split_steps

PIECES = ["a", "b.", " ", "\t", "\n", "\r", "\r\n", "\u2028", "\x85", "\x0c", "\x1f", "\n\n", "\u3000", ""]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)
boundaries: st.SearchStrategy[Boundary] = st.sampled_from(["auto", "paragraphs", "lines"])


def chunked(text: str, cuts: Sequence[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@settings(max_examples=400)
@given(texts, boundaries, st.lists(st.integers(0, 10_000), max_size=8))
@example("one\r\n\r\ntwo", "auto", [4])
@example("\n\n a\nb", "auto", [1, 2, 3])
@example("a\n\n\u2028\n\n b", "paragraphs", [3])
def test_closed_steps_are_a_prefix_of_the_whole_texts_steps_and_with_the_rest_are_all_of_them(
    text: str, boundary: Boundary, cuts: list[int]
) -> None:
    whole = split_steps(text, boundary)
    splitter = StepSplitter(boundary)
    closed: list[str] = []
    for chunk in chunked(text, cuts):
        closed += splitter.feed(chunk)
        assert closed == whole[: len(closed)]
        assert text.startswith("".join(closed) + splitter.rest)
    assert "".join(closed) + splitter.rest == text
    assert closed + splitter.end() == whole


@given(texts, texts, boundaries)
def test_a_closed_step_is_never_changed_by_what_follows(text: str, later: str, boundary: Boundary) -> None:
    closed = StepSplitter(boundary).feed(text)
    assert split_steps(text + later, boundary)[: len(closed)] == closed


@given(texts, boundaries)
def test_character_by_character_a_step_closes_with_the_next_steps_first_visible_one(
    text: str, boundary: Boundary
) -> None:
    splitter = StepSplitter(boundary)
    for position, character in enumerate(text):
        closed = splitter.feed(character)
        assert len(closed) <= 1
        if closed:
            assert character.strip()
            assert split_steps(text[: position + 1], boundary)[-2] == closed[0]


def test_lines_are_only_known_at_the_end_when_blank_lines_may_still_come() -> None:
    splitter = StepSplitter()
    assert [splitter.feed("one\ntwo\n"), splitter.feed("three")] == [[], []]
    assert splitter.end() == ["one\n", "two\n", "three"]
    assert splitter.end() == []


@pytest.mark.parametrize("boundary", ["lines", "paragraphs"])
def test_500_tiny_steps_close_one_by_one(boundary: Boundary) -> None:
    end = "\n" if boundary == "lines" else "\n\n"
    splitter = StepSplitter(boundary)
    closed = [step for _ in range(500) for step in splitter.feed("x" + end)]
    assert closed == ["x" + end] * 499
    assert splitter.rest == "x" + end


def test_a_step_of_ten_megabytes_is_held_once_and_never_looked_at_again() -> None:
    piece = "words of a long step" * 500
    splitter = StepSplitter("lines")
    assert [splitter.feed(piece) for _ in range(1000)] == [[]] * 1000
    assert splitter.feed("\nend") == [piece * 1000 + "\n"]
