"""Rows of token ids: sharing changes no output, loses no example, and cuts nothing off."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.finetuning.labelled import Labelled
from adaptive_middleware.finetuning.network import student
from adaptive_middleware.finetuning.recipes import MONOTONE
from adaptive_middleware.finetuning.rows import batches, micro_batches, training_rows
from adaptive_middleware.scoring.local import open_model
from adaptive_middleware.scoring.rows import Layout
from tests.finetuning.world import labelled

LAYOUT = Layout(
    question=lambda text: tuple(map(ord, text)), step=lambda text, _: (*map(ord, text), 0), head=(1,)
)


def named(steps: tuple[str, ...], group: str = "p") -> Labelled:
    return Labelled("q", steps, Example((0.5,), len(steps), False, None, 0.5, 2, group))


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=4).map(tuple), min_size=1, max_size=12))
def test_every_example_is_read_once_at_the_end_of_its_own_text(paths: list[tuple[str, ...]]) -> None:
    data = [named(steps) for steps in paths]
    rows = training_rows(data, LAYOUT, 1000, share=True)
    assert sorted(number for row in rows for number in row.numbers) == list(range(len(data)))
    for row in rows:
        for number, position in zip(row.numbers, row.row.positions, strict=True):
            alone = training_rows([data[number]], LAYOUT, 1000, share=False)[0].row
            assert row.row.ids[: position + 1] == alone.ids
    assert len(rows) <= len(data)


def test_sharing_changes_no_output(base: Path) -> None:
    data = labelled(4)
    opened = open_model(base)
    pupil = student(opened, MONOTONE)
    together = training_rows(data, opened.family.layout, 500, share=True)
    alone = training_rows(data, opened.family.layout, 500, share=False)
    assert len(together) < len(alone) == len(data)
    pupil.network.eval()
    one, two = (pupil.predicted(rows, len(data), 300) for rows in (together, alone))
    assert one == pytest.approx(two, abs=1e-5)


def test_a_row_that_was_cut_carries_only_its_own_end() -> None:
    data = [named(("aaaa", "bbbb", "cccc")), named(("aaaa",))]
    rows = training_rows(data, LAYOUT, 12, share=True)
    assert [row.numbers for row in rows] == [(0,), (1,)]
    assert all(len(row.row.ids) <= 12 for row in rows)


@settings(max_examples=30)
@given(size=st.integers(1, 40), tokens=st.integers(1, 400), seed=st.integers(0, 5))
def test_batches_lose_nothing_and_keep_their_bounds(size: int, tokens: int, seed: int) -> None:
    rows = training_rows(labelled(8), LAYOUT, 1000, share=True)
    dealt = batches(rows, size, seed)
    assert sorted(id(row) for batch in dealt for row in batch) == sorted(map(id, rows))
    assert all(sum(len(row.right) for row in batch[:-1]) < size for batch in dealt)
    groups = micro_batches(rows, tokens)
    assert sorted(id(row) for group in groups for row in group) == sorted(map(id, rows))
    assert all(len(group) == 1 or len(group) * len(group[0].row.ids) <= tokens for group in groups)


def test_the_order_depends_on_the_seed_alone() -> None:
    rows = training_rows(labelled(8), LAYOUT, 1000, share=False)
    assert batches(rows, 4, 1) == batches(rows, 4, 1) != batches(rows, 4, 2)
