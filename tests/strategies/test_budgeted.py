"""The guard of shared budgets, driven by hand: what it holds at every moment, effect by effect."""

from __future__ import annotations

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.spender import spending
from adaptive_middleware.effects import Advance, Begin, Drop, Extend, Follow, Sample
from adaptive_middleware.errors import BudgetExhausted, DeadlineExceeded
from adaptive_middleware.spent import Spent
from adaptive_middleware.strategies.budgeted import budgeted
from adaptive_middleware.types import Path, Usage
from tests.budget.driven import OPEN, REQUEST, asking, balance, done, ended, ledger


def test_the_worst_case_is_held_while_samples_are_drawn_and_settled_to_what_they_were() -> None:
    counted = ledger()
    flow = budgeted(asking(Sample(REQUEST, 3)), REQUEST, counted)
    assert next(flow) == Sample(REQUEST, 3)
    assert balance(counted) == (0, 300)
    outcome = ended(flow, [done(10, 5), done(20, 5)])
    assert balance(counted) == (40, 0)
    assert outcome.budget == (Spent("tokens per day", "tokens", 300, 40, 960, 1000),)
    assert outcome.degraded == ()


def test_a_draw_shrinks_to_what_there_is_room_for_and_the_outcome_says_so() -> None:
    counted = ledger(Cap("tokens", 250))
    flow = budgeted(asking(Sample(REQUEST, 8)), REQUEST, counted)
    assert next(flow) == Sample(REQUEST, 2)
    (cause,) = ended(flow, [done(1), done(1)]).degraded
    assert "'tokens per day' (250) has room for 2 of 8" in cause


def test_the_dearest_of_several_caps_decides() -> None:
    counted = ledger(Cap("tokens", 1000), Cap("requests", 3, "tenant"), Cap("tokens", 250, window="call"))
    with spending(tenant="acme"):
        flow = budgeted(asking(Sample(REQUEST, 8)), REQUEST, counted)
        assert next(flow) == Sample(REQUEST, 2)
    assert balance(counted) == (0, 200)
    assert balance(counted, "requests:tenant=acme:day=2023-11-14") == (0, 2)
    outcome = ended(flow, [done(30, 5), done(30, 5)])
    assert [(each.budget, each.reserved, each.settled, each.left, each.free) for each in outcome.budget] == [
        ("tokens per call", 200, 70, 180, 250),
        ("tokens per day", 200, 70, 930, 1000),
        ("requests per day of each tenant", 2, 2, 1, 3),
    ]


def test_without_room_the_strategy_is_told_and_nothing_is_held() -> None:
    counted = ledger(Cap("tokens", 99), Cap("tokens", 500, window="call"))
    with pytest.raises(BudgetExhausted, match=r"room for 0 of 1 more answers, which may take 100 each"):
        next(budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted))
    assert balance(counted) == (0, 0)


def test_a_budget_of_the_call_itself_is_exhausted_by_the_call() -> None:
    counted = ledger(Cap("tokens", 120, window="call", on_exhausted="wait"), Cap("tokens", 1000))
    flow = budgeted(asking(Sample(REQUEST, 1), Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    with pytest.raises(BudgetExhausted, match="tokens per call"):
        flow.send([done(50, 5)])
    assert balance(counted) == (55, 0)


def test_the_prompt_is_reserved_as_counted_once_it_was_counted() -> None:
    counted = ledger()
    flow = budgeted(asking(Sample(REQUEST, 1), Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    flow.send([done(1, prompt=4)])
    assert balance(counted) == (5, 4 + 76)


def test_what_failed_is_given_back_and_what_was_cut_off_costs_its_prompt() -> None:
    for error, settled in (
        (ConnectionError(), 0),
        (DeadlineExceeded(), 4),
        (TimeoutError(), 4),
        (KeyboardInterrupt(), 4),
    ):
        counted = ledger()
        flow = budgeted(asking(Sample(REQUEST, 2)), REQUEST, counted)
        next(flow)
        with pytest.raises(type(error)):
            flow.throw(error)
        assert balance(counted) == (settled, 0)


def test_a_flow_that_is_closed_settles_what_is_certain() -> None:
    counted = ledger()
    flow = budgeted(asking(Sample(REQUEST, 2)), REQUEST, counted)
    next(flow)
    flow.close()
    assert balance(counted) == (4, 0)


def test_a_sample_that_failed_costs_what_it_says() -> None:
    counted = ledger(Cap("tokens", 1000), Cap("requests", 10))
    flow = budgeted(asking(Sample(REQUEST, 2)), REQUEST, counted)
    next(flow)
    ended(flow, [Path(error="500", usage=Usage(requests=1)), done(7, 3)])
    assert balance(counted) == (10, 0)
    assert balance(counted, "requests:all=:day=2023-11-14") == (2, 0)


@pytest.mark.parametrize("usage", [Usage(completion_tokens=-5), Usage(prompt_tokens=10**12)])
def test_a_usage_that_cannot_be_true_counts_as_the_worst_case(usage: Usage) -> None:
    counted = ledger()
    flow = budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    (cause,) = ended(flow, [Path(("4",), usage=usage)]).degraded
    assert cause.startswith("UsageRefused")
    assert balance(counted) == (100, 0)


def test_a_text_that_nobody_counted_is_estimated() -> None:
    counted = ledger()
    flow = budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    ended(flow, [Path(("x" * 40,), usage=Usage())])
    assert balance(counted) == (2 + 10, 0)


def test_open_answers_are_held_until_each_has_ended() -> None:
    counted = ledger()
    flow = budgeted(
        asking(
            Begin(REQUEST, 4), Advance(REQUEST, (OPEN,) * 3), Drop(REQUEST, (OPEN,)), Follow(REQUEST, OPEN)
        ),
        REQUEST,
        counted,
    )
    next(flow)
    assert balance(counted) == (0, 400)
    flow.send([OPEN] * 3)
    assert balance(counted) == (0, 300)
    flow.send([OPEN, done(30, 5), OPEN])
    assert balance(counted) == (35, 200)
    flow.send([done(9, 5)])
    assert balance(counted) == (35 + 14, 100)
    ended(flow, done(40, 5))
    assert balance(counted) == (35 + 14 + 45, 0)


def test_answers_that_nobody_reads_on_cost_what_was_read_of_them() -> None:
    counted = ledger()
    flow = budgeted(asking(Begin(REQUEST, 2), Advance(REQUEST, (OPEN,) * 2)), REQUEST, counted)
    next(flow)
    flow.send([OPEN] * 2)
    ended(flow, [Path(("x" * 20,), done=False), Path(usage=Usage(completion_tokens=9), done=False)])
    assert balance(counted) == ((2 + 5) + (2 + 9), 0)


@pytest.mark.parametrize("close", [True, False])
def test_open_answers_of_a_call_that_is_cut_off_cost_what_is_certain(close: bool) -> None:
    counted = ledger()
    flow = budgeted(asking(Begin(REQUEST, 2), Follow(REQUEST, OPEN)), REQUEST, counted)
    next(flow)
    flow.send([OPEN] * 2)
    if close:
        flow.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
    assert balance(counted) == (4, 0)


def test_continuations_are_fanned_out_as_far_as_there_is_room_for_all_paths() -> None:
    counted = ledger(Cap("tokens", 800))
    flow = budgeted(asking(Extend(REQUEST, (OPEN, OPEN), 8)), REQUEST, counted)
    assert next(flow) == Extend(REQUEST, (OPEN, OPEN), 3)
    assert balance(counted) == (0, 6 * 104), "the longest path adds its 4 bytes to the prompt"
    ended(flow, [done(5, 1)] * 6)
    assert balance(counted) == (36, 0)


def test_paths_that_cannot_all_be_continued_are_not() -> None:
    counted = ledger(Cap("tokens", 200))
    with pytest.raises(BudgetExhausted, match="room for 1 of 2"):
        next(budgeted(asking(Extend(REQUEST, (OPEN, OPEN), 4)), REQUEST, counted))
    assert balance(counted) == (0, 0)
