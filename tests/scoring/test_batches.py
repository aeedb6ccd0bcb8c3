"""Batches, memory and decoding, with a scripted model."""

import math
import pickle
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.computed import Computed, FromScratch
from adaptive_middleware.scoring.families import Family, first_label, positive_class, sigmoid, validity
from adaptive_middleware.scoring.local import LocalScorer
from adaptive_middleware.scoring.rows import Layout, Row
from adaptive_middleware.types import Path, Request


def letters(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


LETTERS = Layout(question=letters, step=lambda step, _: (*letters(step), 0), head=(1,), tail=(2,))


class Scripted:
    """A forward whose answer is the length of the row; runs out of memory when its script says so."""

    def __init__(self, fails: Sequence[bool] = (), surplus: int = 0) -> None:
        self.fails, self.surplus = list(fails), surplus
        self.sizes: list[int] = []

    def __call__(self, rows: Sequence[Row]) -> list[list[float]]:
        self.sizes.append(len(rows))
        if self.fails and self.fails.pop(0):
            raise torch.OutOfMemoryError
        return [[float(len(row.ids))] for row in rows for _ in row.positions] + [[0.0]] * self.surplus


class Direct:
    """An engine without a thread."""

    def __init__(self, compute: FromScratch) -> None:
        self.compute = compute

    def outputs(self, rows: Sequence[Row]) -> Computed:
        return self.compute(rows)

    def submit(self, rows: Sequence[Row]) -> Future[Computed]:
        future: Future[Computed] = Future()
        future.set_result(self.compute(rows))
        return future


def scripted(forward: Scripted, batch_tokens: int = 1000) -> LocalScorer:
    engine = Direct(FromScratch(forward, batch_tokens))
    return LocalScorer("scripted", Family(LETTERS, lambda logits: logits[0] / 100), engine, window=99)


PATHS = [Path(("a",)), Path(("bbbb",)), Path(("cc", "c")), Path(("ddd",))]
EXPECTED = [(0.07,), (0.10,), (0.10, 0.10), (0.09,)]


def values(scorer: LocalScorer) -> list[tuple[float, ...]]:
    return [scores.values for scores in scorer.score(Request("abc"), PATHS)]


def test_batches_hold_at_most_the_token_budget_and_long_rows_go_together() -> None:
    forward = Scripted()
    assert values(scripted(forward, batch_tokens=20)) == EXPECTED
    assert forward.sizes == [2, 2]


def test_a_row_longer_than_the_budget_is_still_scored() -> None:
    forward = Scripted()
    assert values(scripted(forward, batch_tokens=1)) == EXPECTED
    assert forward.sizes == [1, 1, 1, 1]


def test_out_of_memory_halves_the_batch_once() -> None:
    forward = Scripted([True])
    assert values(scripted(forward)) == EXPECTED
    assert forward.sizes == [4, 2, 2]


def test_out_of_memory_of_a_half_is_a_scorer_error_with_the_remedy() -> None:
    with pytest.raises(
        ScorerError, match=r"4 rows of up to 10 tokens by halves: lower batch_tokens or max_length"
    ):
        values(scripted(Scripted([True, False, True])))


def test_out_of_memory_of_a_single_row_is_tried_once_more() -> None:
    forward = Scripted([True])
    assert values(scripted(forward, batch_tokens=1)) == EXPECTED
    assert forward.sizes == [1, 1, 1, 1, 1]


def test_a_wrong_number_of_outputs_is_never_attributed() -> None:
    with pytest.raises(ScorerError, match="6 outputs for 5 steps"):
        values(scripted(Scripted(surplus=1)))


def test_no_paths_need_no_forward() -> None:
    forward = Scripted()
    assert scripted(forward).score(Request(""), []) == []
    assert forward.sizes == []


def test_half_precision_zeros_are_scores_like_any_other() -> None:
    assert positive_class([90.0, -90.0]) == pytest.approx(0, abs=1e-70)
    engine = Direct(FromScratch(Scripted(), 99))
    scorer = LocalScorer("zeros", Family(LETTERS, lambda _: 0.0), engine, window=99)
    assert scorer.score(Request(""), [Path(("a", "b", "c"))])[0].values == (0.0, 0.0, 0.0)


@given(logits=st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_decoders_agree_with_torch(logits: list[float]) -> None:
    exact = torch.tensor(logits, dtype=torch.float64)
    assert positive_class(logits[:2]) == pytest.approx(float(exact[:2].softmax(0)[1]), abs=1e-12)
    assert first_label(logits[:2]) == pytest.approx(float(exact[:2].softmax(0)[0]), abs=1e-12)
    assert validity(logits) == pytest.approx(float(exact.softmax(0)[1:].sum()), abs=1e-12)
    assert sigmoid(logits) == pytest.approx(float(exact[0].sigmoid()), abs=1e-12)
    assert 0 <= validity(logits) <= 1


def test_not_a_number_comes_out_as_not_a_number_so_that_the_driver_rejects_it() -> None:
    nan = math.nan
    assert math.isnan(positive_class([nan, 1.0]))
    assert math.isnan(first_label([1.0, nan]))
    assert math.isnan(validity([nan, 0.0, 0.0]))
    assert math.isnan(sigmoid([nan]))


def test_a_scorer_that_was_not_loaded_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="not built by load_scorer"):
        pickle.dumps(scripted(Scripted()))
