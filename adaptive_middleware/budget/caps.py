"""Caps: the most that calls may cost together, and the account that a call is counted in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from urllib.parse import quote

from adaptive_middleware.budget.amounts import MOST, Unit
from adaptive_middleware.errors import ConfigError

Scope: TypeAlias = Literal["all", "tenant", "policy", "model"]
Window: TypeAlias = Literal["call", "run", "day", "month"]
OnExhausted: TypeAlias = Literal["refuse", "wait"]
UnknownPrice: TypeAlias = Literal["deny", "allow"]

DAYS_KEPT = {"call": 1, "run": 7, "day": 400, "month": 400}
"""How long an account is remembered; far longer than its window, so that a clock that jumps resets nothing."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `limit` of `unit` for each value of `scope`, in each `window`.

    `limit` is in tokens, requests, micro-dollars or milliseconds, in [1, 10^15]. Days and months are those of
    UTC. `on_exhausted` says whether a call that has no answer yet waits for others to end; `unknown_price`
    what happens to a call whose price is not known, where the unit is `usd`. Raises `ConfigError`.
    """

    unit: Unit
    limit: int
    scope: Scope = "all"
    window: Window = "day"
    on_exhausted: OnExhausted = "refuse"
    unknown_price: UnknownPrice = "deny"

    def __post_init__(self) -> None:
        limit: object = self.limit
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
            message = f"the limit of a budget is {limit!r}; give a whole number in [1, {MOST}]"
            raise ConfigError(message)

    @property
    def name(self) -> str:
        """The cap in words.

        >>> Cap("usd", 5_000_000, "tenant").name
        'usd per day of each tenant'
        """
        whose = "" if self.scope == "all" else f" of each {self.scope}"
        return f"{self.unit} per {self.window}{whose}"

    def counts(self, key: str) -> bool:
        """Whether this is the key of one of the cap's accounts.

        >>> Cap("usd", 9, "tenant").counts("usd:tenant=acme:day=2026-11-26")
        True
        """
        unit, scope, window = key.split(":")
        return (unit, scope.split("=")[0], window.split("=")[0]) == (self.unit, self.scope, self.window)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose call it is: what decides which account it is counted in. `run` is None for a call outside a run."""

    call: str
    tenant: str | None = None
    policy: str | None = None
    model: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Where a cap counts: `key` names scope and window; it may be forgotten at `expires` (Unix seconds)."""

    key: str
    limit: int
    expires: float


def account(cap: Cap, subject: Subject, now: float) -> Account:
    """The account of `cap` that a call of `subject` is counted in at `now` (Unix seconds).

    >>> account(Cap("tokens", 9, "tenant", "month"), Subject("c1", tenant="a/b"), 0.0).key
    'tokens:tenant=a%2Fb:month=1970-01'
    """
    who = {"all": "", "tenant": subject.tenant, "policy": subject.policy, "model": subject.model}[cap.scope]
    key = f"{cap.unit}:{cap.scope}={_quoted(who)}:{cap.window}={_period(cap.window, subject, now)}"
    return Account(key, cap.limit, now + DAYS_KEPT[cap.window] * 86_400.0)


def private(cap: Cap, subject: Subject) -> bool:
    """Whether no other call can ever be counted in this account, so that it needs no store."""
    return cap.window == "call" or (cap.window == "run" and subject.run is None)


def _period(window: Window, subject: Subject, now: float) -> str:
    match window:
        case "call":
            return _quoted(subject.call)
        case "run":
            return _quoted(subject.run if subject.run is not None else f"call {subject.call}")
        case "day":
            return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
        case "month":
            return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"


def _quoted(name: str | None) -> str:
    """A name that cannot be taken for another one, whatever it holds; None is told from every name."""
    return "?" if name is None else quote(name.encode("utf-8", "surrogatepass"), safe="")
