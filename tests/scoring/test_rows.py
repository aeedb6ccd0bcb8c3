"""Rows are cut from the left, and keep every score at its step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.rows import Layout, render


def letters(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


LETTERS = Layout(question=letters, step=lambda step, _: (*letters(step), 0), head=(1,), tail=(2,))


@pytest.mark.parametrize(
    ("window", "ids", "first"),
    [
        (11, (1, *letters("abc"), 2, *letters("de"), 0, *letters("fg"), 0), 0),
        (10, (1, *letters("abc"), 2, *letters("fg"), 0), 1),
        (8, (1, *letters("abc"), 2, *letters("fg"), 0), 1),
        (7, (1, *letters("bc"), 2, *letters("fg"), 0), 1),
        (5, (1, 2, *letters("fg"), 0), 1),
        (4, (1, 2, *letters("g"), 0), 1),
        (3, (1, 2, 0), 1),
    ],
)
def test_early_steps_go_first_then_the_questions_beginning_then_the_last_steps(
    window: int, ids: tuple[int, ...], first: int
) -> None:
    [row], found = render(LETTERS, "abc", ["de", "fg"], window)
    assert (row.ids, found) == (ids, first)
    assert row.positions == tuple(k for k, token in enumerate(ids) if token == 0)


@given(
    question=st.text("q", max_size=30),
    steps=st.lists(st.text("s", max_size=9), max_size=9),
    window=st.integers(3, 60),
)
def test_no_row_is_longer_than_the_window_even_where_an_opening_step_is_longer(
    question: str, steps: list[str], window: int
) -> None:
    layout = Layout(
        question=letters, step=lambda step, opening: (*letters("o" * 4 * opening + step), 0), head=(1,)
    )
    [row], first = render(layout, question, steps, window)
    assert len(row.ids) <= window
    assert len(row.positions) == max(1, len(steps)) - first
    assert all(row.ids[k] == 0 for k in row.positions)


def test_a_window_without_room_beside_the_prompt_is_refused() -> None:
    with pytest.raises(ScorerError, match="max_length 2 has no room beside the 2 tokens"):
        render(LETTERS, "abc", ["de"], 2)
