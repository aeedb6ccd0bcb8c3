"""Spend against caps: what a configuration's budgets have counted now, or why that cannot be seen from here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.look import Look, Looking, SqliteLook
from adaptive_middleware.budget.redis_look import RedisLook
from adaptive_middleware.budget.store import Balance
from adaptive_middleware.config import Config
from adaptive_middleware.config.budgets import RedisStoreRule, SqliteStoreRule
from adaptive_middleware.config.build_budget import cap_of
from adaptive_middleware.errors import BudgetUnavailable, ConfigError

SHOWN = 8
"""The most accounts of one cap that are shown: those of which the largest share is taken."""
_UNSAID = "Caps and reservations are not shown: start `adaptive-middleware view --config FILE` with the configuration of the service."
_NONE = "The configuration has no budgets."
_MEMORY = (
    "These budgets are counted in the memory of each service process, which no other process can see. "
    "Name a `budget.store` of kind sqlite or redis to see what is spent and reserved."
)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The caps that are in force, and how their store is looked at; `said` names the store, or says why it is not seen."""

    caps: tuple[Cap, ...] = ()
    looking: Looking | None = None
    said: str = _UNSAID


UNSEEN = Budgets()


@dataclass(frozen=True, slots=True)
class Room:
    """One account of a cap: whose it is, for which time, and what of the cap's limit is settled and held."""

    whose: str
    period: str
    settled: int
    held: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Where the budgets stood at `at`: rooms by cap, the fullest first, and how many more each has.

    `problem` says why the store could not be looked at.
    """

    budgets: Budgets
    at: float
    rooms: tuple[tuple[Cap, tuple[Room, ...], int], ...] = ()
    look: Look | None = None
    problem: str | None = None

    @property
    def marks(self) -> object:
        """What changes when there is something new to show."""
        seen = (
            None if self.look is None else [(one.call, one.answers, one.gone) for one in self.look.reserved]
        )
        return self.rooms, seen, self.problem


def spend(budgets: Budgets, now: float | None = None) -> Spend:
    """Look at the store; may wait for a disk or a network."""
    at = time.time() if now is None else now
    if budgets.looking is None:
        return Spend(budgets, at)
    try:
        look = budgets.looking.look(lambda key: any(_current(cap, key, at) for cap in budgets.caps))
    except BudgetUnavailable as error:
        return Spend(budgets, at, problem=str(error))
    return Spend(budgets, at, tuple(_rooms(budgets, look, at)), look)


def budgets_of(config: Config) -> Budgets:
    """The budgets of a configuration."""
    caps, rule = tuple(map(cap_of, config.settings.budgets)), config.settings.budget.store
    if not caps:
        return Budgets(said=_NONE)
    if isinstance(rule, SqliteStoreRule):
        path = config.resolved(rule.path).absolute()
        return Budgets(caps, SqliteLook(path), f"Counted in the file {path}.")
    if isinstance(rule, RedisStoreRule):
        return _in_redis(caps, rule)
    return Budgets(caps, said=_MEMORY)


def _in_redis(caps: tuple[Cap, ...], rule: RedisStoreRule) -> Budgets:
    url = rule.url if rule.url_env is None else os.environ.get(rule.url_env)
    if not url:
        return Budgets(
            caps, said=f"Counted in Redis, at the address in ${rule.url_env}, which is not set here."
        )
    place = rule.url or f"the address in ${rule.url_env}"  # an address of the environment may hold a password
    try:
        return Budgets(
            caps, RedisLook.at(url, prefix=rule.prefix), f"Counted in Redis, {place}, {rule.prefix}."
        )
    except ConfigError as error:
        return Budgets(caps, said=f"Counted in Redis, {place}, which cannot be looked at: {error.message}")


def _current(cap: Cap, key: str, now: float) -> bool:
    """Whether an account is one of the cap's, and of a window that has not ended."""
    if not cap.counts(key):
        return False
    period, today = key.rpartition("=")[2], datetime.fromtimestamp(now, UTC)
    return cap.window not in {"day", "month"} or period == f"{today:%Y-%m-%d}"[: len(period)]


def _rooms(budgets: Budgets, look: Look, now: float) -> Iterator[tuple[Cap, tuple[Room, ...], int]]:
    for cap in budgets.caps:
        found = [_room(key, balance) for key, balance in look.accounts.items() if _current(cap, key, now)]
        found.sort(key=lambda room: (-room.settled - room.held, room.whose, room.period))
        yield cap, tuple(found[:SHOWN]), max(len(found) - SHOWN, 0)


def _room(key: str, balance: Balance) -> Room:
    _, scope, window = key.split(":")
    name, period = scope.partition("=")[2], window.partition("=")[2]
    whose = {"": "all calls", "?": "no name"}.get(name, unquote(name, errors="replace"))
    return Room(whose, unquote(period, errors="replace"), balance.settled, balance.held)
