"""What is counted, in which unit, and for whom."""

from __future__ import annotations

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Assumed
from adaptive_middleware.budget.prices import Price, Prices
from adaptive_middleware.budget.spender import spending
from adaptive_middleware.effects import Flow, Sample, Score
from adaptive_middleware.errors import BudgetExhausted, ConfigError, PriceUnknown
from adaptive_middleware.strategies.budgeted import budgeted
from adaptive_middleware.types import Outcome, Path, Request, StepScores, Usage
from tests.budget.driven import OPEN, REQUEST, asking, balance, done, ended, ledger


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


PRM = "prm_ms:all=:day=2023-11-14"


def test_scoring_is_counted_in_the_time_that_it_took() -> None:
    counted, clock = ledger(Cap("prm_ms", 20_000)), Clock()
    flow = budgeted(asking(Score(REQUEST, ()), Score(REQUEST, ())), REQUEST, counted, clock=clock)
    next(flow)
    assert balance(counted, PRM) == (0, 10_000)
    clock.now = 0.25
    flow.send([])
    assert balance(counted, PRM) == (250, 10_000)
    clock.now = 1.25
    with pytest.raises(ZeroDivisionError):
        flow.throw(ZeroDivisionError())
    assert balance(counted, PRM) == (1250, 0)


def test_scoring_that_is_closed_is_counted_too() -> None:
    counted, clock = ledger(Cap("prm_ms", 20_000)), Clock()
    flow = budgeted(asking(Score(REQUEST, ())), REQUEST, counted, clock=clock)
    next(flow)
    clock.now = 0.5
    flow.close()
    assert balance(counted, PRM) == (500, 0)


def test_scoring_without_budget_is_answered_with_rejected_scores() -> None:
    seen: list[StepScores] = []

    def scoring() -> Flow[Outcome]:
        seen.extend((yield from Score(REQUEST, (OPEN, OPEN))))
        return Outcome(Path())

    flow = budgeted(scoring(), REQUEST, ledger(Cap("prm_ms", 9_999)))
    with pytest.raises(StopIteration) as stop:
        next(flow)
    assert [score.rejected is not None for score in seen] == [True, True]
    assert stop.value.value.degraded[0].startswith("BudgetExhausted: the budget 'prm_ms per day'")


def test_without_a_cap_on_scoring_scores_pass() -> None:
    flow = budgeted(asking(Score(REQUEST, ())), REQUEST, ledger())
    assert next(flow) == Score(REQUEST, ())
    assert ended(flow, []).budget == ()


TABLE = Prices({"m": Price(prompt=1.0, completion=10.0)}, known=False)
USD = "usd:all=:day=2023-11-14"


def test_dollars_are_reserved_by_the_price_of_the_model_and_a_reported_cost_counts() -> None:
    counted = ledger(Cap("usd", 10_000), price=TABLE)
    flow = budgeted(asking(Sample(REQUEST, 2)), REQUEST, counted)
    next(flow)
    assert balance(counted, USD) == (0, 2 * (24 + 760))
    ended(flow, [done(3, 5), Path(("4",), usage=Usage(5, 3, usd=0.0001))])
    assert balance(counted, USD) == (35 + 100, 0)


@pytest.mark.parametrize("request_", [Request("?", model="new"), Request("?")])
def test_an_unknown_price_is_refused_unless_the_cap_allows_it(request_: Request) -> None:
    with pytest.raises(PriceUnknown, match=r"add it to budget\.prices"):
        next(budgeted(asking(Sample(request_, 1)), request_, ledger(Cap("usd", 9), price=TABLE)))
    allowed = ledger(Cap("usd", 9, unknown_price="allow"), price=TABLE)
    assert next(budgeted(asking(Sample(request_, 1)), request_, allowed)) == Sample(request_, 1)
    assert balance(allowed, USD) == (0, 0)


def test_an_answer_without_a_limit_is_assumed_to_be_long_and_a_prompt_no_longer_than_allowed() -> None:
    request = Request("x" * 5000, tools=("tool",))
    counted = ledger(Cap("tokens", 10**6), assumed=Assumed(answer_tokens=500, prompt_tokens=1000))
    flow = budgeted(asking(Sample(request, 1)), request, counted)
    next(flow)
    assert balance(counted) == (0, 1500)
    flow.close()
    assert balance(counted) == (1000, 0)


def test_where_only_requests_count_the_prompt_is_not_looked_at() -> None:
    counted = ledger(Cap("requests", 5))
    request = Request("", messages=(object(),))
    flow = budgeted(asking(Sample(request, 9)), request, counted)
    assert next(flow) == Sample(request, 5)
    assert balance(counted, "requests:all=:day=2023-11-14") == (0, 5)


def test_the_tenant_is_that_of_the_program_around_else_that_of_a_tag() -> None:
    request = Request("?", tags=frozenset({"x", "tenant:tagged"}))
    counted = ledger(Cap("requests", 5, "tenant"))
    flows = [budgeted(asking(Sample(request, 1)), request, counted) for _ in range(2)]
    next(flows[0])
    with spending(tenant="named"):
        next(flows[1])
    for name in ("tagged", "named"):
        assert balance(counted, f"requests:tenant={name}:day=2023-11-14") == (0, 1)


def test_a_run_is_shared_by_its_calls_and_a_policy_and_a_model_by_theirs() -> None:
    counted = ledger(
        Cap("requests", 2, window="run"), Cap("requests", 9, "policy", "month"), Cap("requests", 9, "model")
    )
    with spending(run="job"):
        kept = [budgeted(asking(Sample(REQUEST, 1)), REQUEST, counted, policy="p") for _ in range(3)]
        for flow in kept[:2]:
            next(flow)
        with pytest.raises(BudgetExhausted, match="per run"):
            next(kept[2])
    assert balance(counted, "requests:policy=p:month=2023-11") == (0, 2)
    assert balance(counted, "requests:model=m:day=2023-11-14") == (0, 2)


def test_two_caps_that_count_in_one_account_are_refused() -> None:
    with pytest.raises(ConfigError, match="'tokens per day' is given twice"):
        ledger(Cap("tokens", 5), Cap("tokens", 9))
