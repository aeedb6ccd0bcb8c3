"""Who may wait, and what a call of several stores gives back, driven by hand."""

from __future__ import annotations

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.store import Ask, Line
from adaptive_middleware.effects import Begin, Flow, Pause, Sample
from adaptive_middleware.errors import BudgetExhausted
from adaptive_middleware.strategies.budgeted import budgeted
from adaptive_middleware.types import Outcome
from tests.budget.driven import OPEN, REQUEST, asking, balance, done, ended, ledger

DAY = "tokens:all=:day=2023-11-14"


def held_by_another(limit: int = 200, amount: int = 100) -> tuple[Ledger, Ask]:
    """A ledger of which another call holds something, so that waiting is not hopeless."""
    counted = ledger(Cap("tokens", limit, on_exhausted="wait"))
    other = Ask(("other",), (Line(DAY, limit, amount, 0, 4e9),), 600.0)
    assert counted.reserve(other).holds == ("other",)
    return counted, other


def test_a_call_without_an_answer_waits_and_goes_on_when_it_is_handed_room() -> None:
    counted, other = held_by_another(amount=150)
    flow = budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted)
    assert isinstance(next(flow), Pause)
    counted.release(other.holds, other)
    assert flow.send(None) == Sample(REQUEST, 1)
    ended(flow, [done(9, 1)])
    assert balance(counted) == (10, 0)


def test_a_call_with_an_answer_does_not_wait_for_another_one() -> None:
    counted, _ = held_by_another()
    flow = budgeted(asking(Sample(REQUEST, 1), Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    with pytest.raises(BudgetExhausted):
        flow.send([done(50)])
    assert balance(counted) == (50, 100)


def test_a_call_that_holds_something_does_not_wait_for_more() -> None:
    counted, _ = held_by_another()
    flow = budgeted(asking(Begin(REQUEST, 1), Begin(REQUEST, 1)), REQUEST, counted)
    next(flow)
    with pytest.raises(BudgetExhausted):
        flow.send([OPEN])
    assert balance(counted) == (2, 100)


@pytest.mark.parametrize("close", [True, False])
def test_a_call_that_ends_while_it_waits_stands_in_nobodys_way(close: bool) -> None:
    counted, other = held_by_another(amount=150)
    flow = budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted)
    next(flow)
    if close:
        flow.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            flow.throw(KeyboardInterrupt())
    counted.release(other.holds, other)
    assert balance(counted) == (0, 0)


def test_what_other_calls_left_no_room_for_is_given_back_to_the_call_itself() -> None:
    counted = ledger(Cap("tokens", 400, window="call"), Cap("tokens", 250))
    flow = budgeted(asking(Sample(REQUEST, 3)), REQUEST, counted)
    assert next(flow) == Sample(REQUEST, 2)
    outcome = ended(flow, [done(10), done(10)])
    assert [(each.reserved, each.left) for each in outcome.budget] == [(200, 380), (200, 230)]


def test_a_refusal_by_others_takes_nothing_of_the_call_itself() -> None:
    counted = ledger(Cap("tokens", 1000, window="call"), Cap("requests", 1))

    def twice() -> Flow[Outcome]:
        yield from Sample(REQUEST, 1)
        with pytest.raises(BudgetExhausted, match="requests per day"):
            yield from Sample(REQUEST, 1)
        return Outcome(OPEN)

    flow = budgeted(twice(), REQUEST, counted)
    next(flow)
    outcome = ended(flow, [done(10)])
    assert [(each.unit, each.settled, each.left) for each in outcome.budget] == [
        ("tokens", 10, 990),
        ("requests", 1, 0),
    ]
