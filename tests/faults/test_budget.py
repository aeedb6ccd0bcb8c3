"""F20 to F22, F28, F29, F33, F34: budgets under a thousand calls, crashes, two processes, jumping clocks, unknown prices and dear answers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, pass_through
from adaptive_middleware.budget.caps import Cap, Subject, account
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.errors import BudgetExhausted, PriceUnknown
from adaptive_middleware.types import Path, Usage
from tests.faults.world import Told, alone, within

pytestmark = pytest.mark.fault

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0).timestamp()
"""Noon of today: files forget accounts of long ago by the real clock."""
ASKED = Request("12345678", parameters={"max_tokens": 76}, model="m")
"""At worst 100 tokens an answer: 8 bytes of prompt and 16 around them, and 76 of the answer."""


class Answers:
    """Gives answers of a usage, and looks at what is held meanwhile."""

    def __init__(self, usage: Usage, look: Callable[[], object] = lambda: None) -> None:
        self.usage, self.look, self.drawn = usage, look, 0
        self.seen: list[object] = []

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        self.seen.append(self.look())
        self.drawn += n
        return [Path(("4",), usage=self.usage)] * n

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        await asyncio.sleep(0.001)
        return self.sample(request, n)


FIFTY = Usage(10, 40, requests=1)


def over(ledger: Ledger, n: int = 1) -> tuple[Middleware, Told]:
    told = Told()
    strategy = best_of_n(fixed(n), score=False) if n > 1 else pass_through
    return Middleware(rules=[Rule("all", strategy, budget=ledger)], observers=[told]), told


def balance(ledger: Ledger, now: float = NOON, cap: int = 0) -> tuple[int, int]:
    """What is settled and what is held."""
    (found,) = ledger.balances([account(ledger.caps[cap], Subject("any", model="m"), now).key])
    return found.settled, found.held


async def test_f20_a_thousand_calls_on_one_budget_use_it_up_and_never_more() -> None:
    ledger = Ledger((Cap("tokens", 20_000, on_exhausted="wait"),), clock=lambda: NOON)
    sampler, (middleware, _) = Answers(FIFTY), over(ledger)

    async def all_of_them() -> list[object]:
        with within(60.0) as ends:
            request = Request(ASKED.text, parameters=ASKED.parameters, deadline=ends)
            calls = [middleware.arun(request, sampler) for _ in range(1000)]
            return list(await asyncio.gather(*calls, return_exceptions=True))

    outcomes = await alone(all_of_them)
    settled, held = balance(ledger)
    assert (settled, held) == (50 * sampler.drawn, 0)
    assert 19_000 <= settled <= 20_000
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert len(refused) == 1000 - sampler.drawn
    assert {type(one) for one in refused} == {BudgetExhausted}


CALLER = """
import sys, time
from pathlib import Path as File
from adaptive_middleware import Middleware, Request, Rule, pass_through
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.errors import BudgetExhausted
from adaptive_middleware.types import Path, Usage
ledger = Ledger((Cap("tokens", 10_000),), SqliteStore(File(sys.argv[1])), clock=lambda: float(sys.argv[3]))
class Answers:
    drawn = 0
    def sample(self, request, n):
        if sys.argv[2] == "hang":
            print("asked", flush=True)
            time.sleep(60)
        self.drawn += n
        return [Path(("4",), usage=Usage(10, 40, requests=1))] * n
sampler, middleware = Answers(), Middleware(rules=[Rule("all", pass_through, budget=ledger)])
try:
    while True:
        middleware.run(Request("12345678", parameters={"max_tokens": 76}, model="m"), sampler)
except BudgetExhausted:
    print(sampler.drawn)
"""


def caller(file: FilePath, how: str) -> subprocess.Popen[str]:
    """A process that calls until the budget is used up, or hangs in its first call."""
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, str(file), how, str(NOON)], stdout=subprocess.PIPE, text=True
    )


def test_f21_a_crash_between_reserve_and_settle_heals(tmp_path: FilePath) -> None:
    file = tmp_path / "budget.db"
    ledger = Ledger((Cap("tokens", 10_000),), SqliteStore(file), clock=lambda: NOON)
    with caller(file, "hang") as crashed:
        assert crashed.stdout is not None
        assert crashed.stdout.readline() == "asked\n"
        assert balance(ledger) == (0, 100)
        crashed.send_signal(signal.SIGKILL)
    narrow = Ledger((Cap("tokens", 180),), SqliteStore(file), clock=lambda: NOON)
    outcome = over(narrow)[0].run(ASKED, Answers(FIFTY))  # needs the room that the crashed call held
    settled, held = balance(narrow)
    assert (outcome.chosen.text, held) == ("4", 0)
    assert 50 <= settled <= 150
    again = Ledger(narrow.caps, SqliteStore(file), clock=lambda: NOON)
    assert balance(again) == balance(ledger) == (settled, 0)


def test_f22_two_processes_on_one_file_spend_it_exactly(tmp_path: FilePath) -> None:
    file = tmp_path / "budget.db"
    both = [caller(file, "call"), caller(file, "call")]
    drawn = [int(one.communicate()[0]) for one in both]
    ledger = Ledger((Cap("tokens", 10_000),), SqliteStore(file), clock=lambda: NOON)
    assert balance(ledger) == (50 * sum(drawn), 0)
    assert 9_850 <= 50 * sum(drawn) <= 10_000


@pytest.mark.parametrize("jump", [3 * 86_400.0, -3600.0])
def test_f28_a_clock_that_jumps_resets_no_day_twice_and_nothing_becomes_negative(jump: float) -> None:
    now = [NOON]
    ledger = Ledger((Cap("tokens", 150),), MemoryStore(), clock=lambda: now[0])
    middleware, _ = over(ledger)
    jumping = Answers(FIFTY, lambda: now.__setitem__(0, NOON + jump))
    middleware.run(ASKED, jumping)
    now[0] = NOON
    assert balance(ledger, NOON) == (50, 0)
    assert balance(ledger, NOON + jump) == ((50, 0) if jump < 0 else (0, 0))
    middleware.run(ASKED, Answers(FIFTY))
    with pytest.raises(BudgetExhausted):
        middleware.run(ASKED, Answers(FIFTY))
    assert balance(ledger, NOON) == (100, 0)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.floats(-90_000, 90_000))  # noqa: DTZ001 - made UTC below
def test_f29_a_window_ends_once_at_the_edge_of_its_utc_day_and_month(naive: datetime, later: float) -> None:
    one = naive.replace(tzinfo=UTC)
    other = datetime.fromtimestamp(one.timestamp() + later, UTC)
    for window, period in (("day", "%Y-%m-%d"), ("month", "%Y-%m")):
        cap = Cap("tokens", 1, window=window)  # type: ignore[arg-type] # both are windows
        keys = {account(cap, Subject("any"), when.timestamp()).key for when in (one, other)}
        assert (len(keys) == 1) == (one.strftime(period) == other.strftime(period))


def priced(unknown: str) -> dict[str, Any]:
    caps = [{"amount": {"usd": 1.0}, "unknown_price": unknown}]
    return {
        "version": 1,
        "budget": {"published_prices": False},
        "budgets": caps,
        "policies": {"default": {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 2}}},
    }


def test_f33_a_model_without_a_price_is_refused_by_a_cap_in_dollars_and_named() -> None:
    sampler = Answers(FIFTY)
    with pytest.raises(PriceUnknown, match="'m'"):
        Middleware.from_config(priced("deny")).run(ASKED, sampler)
    assert sampler.drawn == 0


def test_f33_a_policy_may_allow_it_and_the_report_says_so() -> None:
    sampler = Answers(FIFTY)
    outcome = Middleware.from_config(priced("allow")).run(ASKED, sampler)
    assert (outcome.chosen.text, sampler.drawn) == ("4", 2)


@pytest.mark.parametrize("n", [1, 3])
def test_f34_what_is_reserved_is_the_worst_case_of_all_answers(n: int) -> None:
    ledger = Ledger((Cap("tokens", 10_000), Cap("requests", 100)), MemoryStore(), clock=lambda: NOON)
    sampler = Answers(FIFTY, lambda: (balance(ledger), balance(ledger, cap=1)))
    over(ledger, n)[0].run(ASKED, sampler)
    assert sampler.seen == [((0, 100 * n), (0, n))]
    assert (balance(ledger), balance(ledger, cap=1)) == ((50 * n, 0), (n, 0))


@pytest.mark.parametrize(
    "request_",
    [
        Request("x", tools=[{"name": "t", "parameters": {"text": "y" * 400}}], parameters={"max_tokens": 10}),
        Request("x", messages=[{"role": "user", "content": "z" * 400}], parameters={"max_tokens": 10}),
    ],
    ids=["tools", "messages"],
)
def test_f34_tools_and_messages_count_in_the_worst_case(request_: Request) -> None:
    ledger = Ledger((Cap("tokens", 10_000),), MemoryStore(), clock=lambda: NOON)
    sampler = Answers(FIFTY, lambda: balance(ledger))
    over(ledger)[0].run(request_, sampler)
    assert sampler.seen[0] > (0, 400)  # type: ignore[operator] # a pair of numbers


def test_f34_reasoning_that_costs_more_than_was_reserved_is_counted_as_it_was() -> None:
    ledger = Ledger((Cap("tokens", 500),), MemoryStore(), clock=lambda: NOON)
    middleware, told = over(ledger, 3)
    outcome = middleware.run(ASKED, Answers(Usage(10, 390, requests=1)))
    assert balance(ledger) == (400 * len(outcome.considered), 0)
    with pytest.raises(BudgetExhausted):
        middleware.run(ASKED, Answers(FIFTY))
    assert told.outcomes == [outcome]


def test_f30_what_a_day_has_spent_is_not_forgotten_by_a_reload() -> None:
    def config(limit: int, n: int) -> dict[str, Any]:
        policy = {"default": {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": n}}}
        return {"version": 1, "budgets": [{"amount": {"tokens": limit}}], "policies": policy}

    middleware = Middleware.from_config(config(250, 2))
    middleware.run(ASKED, Answers(FIFTY))
    middleware.reload(config(250, 1))
    middleware.run(ASKED, Answers(FIFTY))
    middleware.reload(config(240, 1))
    with pytest.raises(BudgetExhausted):
        middleware.run(ASKED, Answers(FIFTY))
