"""The guard of budgets driven by hand: flows that ask for given effects, answers, and what a ledger holds."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.effects import Effect, Flow
from adaptive_middleware.types import Outcome, Path, Request, Usage

MIDNIGHT = 1_700_000_000.0
REQUEST = Request("12345678", parameters={"max_tokens": 76}, model="m")
"""8 bytes and 16 around them: at worst 100 tokens, 2 for certain."""
OPEN = Path(("one ",), done=False)


def ledger(*caps: Cap, **keys: Any) -> Ledger:
    return Ledger(caps or (Cap("tokens", 1000),), clock=lambda: MIDNIGHT, **keys)


def done(tokens: int, prompt: int = 0, **keys: Any) -> Path:
    return Path(("text",), finish_reason="stop", usage=Usage(prompt, tokens, requests=1), **keys)


def balance(counted: Ledger, key: str = "tokens:all=:day=2023-11-14") -> tuple[int, int]:
    (found,) = counted.balances([key])
    return found.settled, found.held


def asking(*effects: Effect[Any]) -> Flow[Outcome]:
    for effect in effects:
        yield from effect
    return Outcome(Path())


def ended(flow: Generator[Any, Any, Outcome], answer: Any) -> Outcome:
    with pytest.raises(StopIteration) as stop:
        flow.send(answer)
    outcome: Outcome = stop.value.value
    return outcome
