"""What the latest reports tell of the services that made them: whether scores came, why calls got less, what budgets had left."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from adaptive_middleware.scoring.shield import LEFT_ALONE

LOOKED, CAUSES = 200, 50
"""Reports that are read: of the latest calls, and of the latest degraded ones among `WITHIN` calls."""
WITHIN = 5000
State: TypeAlias = Literal["closed", "open", "failing", "unknown"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """The circuit breaker of scoring as the latest call tells it that says anything, and the words that it said.

    `failing`: scores were refused, and nothing says that the breaker is open. `call` ended at `at`; `scored_at` is the end
    of the latest call that was scored.
    """

    state: State = "unknown"
    at: float | None = None
    call: str | None = None
    cause: str | None = None
    scored_at: float | None = None


SILENT = Breaker()


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of cause why calls were degraded: in how many, and the latest of them with all its words."""

    kind: str
    calls: int
    at: float
    call: str
    words: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the latest call that a budget counted was told: how much was left when it ended (None: the store was away)."""

    budget: str
    unit: str
    left: int | None
    at: float
    call: str


@dataclass(frozen=True, slots=True)
class Recent:
    """What `looked` latest calls tell."""

    looked: int = 0
    breaker: Breaker = SILENT
    causes: tuple[Cause, ...] = ()
    told: tuple[Told, ...] = ()


NOTHING = Recent()


@dataclass(frozen=True, slots=True)
class _Report:
    id: str
    at: float
    said: dict[str, Any]

    @property
    def degraded(self) -> list[str]:
        return list(self.said.get("degraded", ()))

    @property
    def scored(self) -> bool:
        return any(one.get("step_scores") for one in self.said.get("candidates", ()))

    @property
    def left_alone(self) -> str | None:
        """The words of an open breaker."""
        return next((each for each in self.degraded if LEFT_ALONE in each), None)

    @property
    def refused(self) -> str | None:
        """The words of a score that failed; what no scorer could have scored is no failure."""
        failed = (each for each in self.degraded if each.startswith(_REFUSED))
        return next((each for each in failed if not any(kind in each for kind in _ITS_OWN)), None)


def recent(connection: sqlite3.Connection) -> Recent:
    """What the latest calls of an open store tell; what cannot be read of one is passed over."""
    latest = list(_reports(connection.execute(f"{_SELECT} ORDER BY at DESC, id DESC LIMIT {LOOKED}")))
    degraded = f"SELECT at FROM calls ORDER BY at DESC LIMIT 1 OFFSET {WITHIN - 1}"  # noqa: S608 - a number
    bounded = f"{_SELECT} WHERE degraded > 0 AND at >= coalesce(({degraded}), 0) ORDER BY at DESC, id DESC LIMIT {CAUSES}"
    causes = _causes(list(_reports(connection.execute(bounded))))
    return Recent(len(latest), _breaker(latest), tuple(causes), tuple(_told(latest)))


def _reports(rows: sqlite3.Cursor) -> Iterator[_Report]:
    for name, at, details in rows:
        try:
            said = json.loads(details)["report"]
        except (ValueError, RecursionError, KeyError, TypeError):
            continue  # `explain` says so when it is asked for this call
        yield _Report(name, at, said or {})


def _breaker(latest: Sequence[_Report]) -> Breaker:
    scored_at = next((one.at for one in latest if one.scored), None)
    for one in latest:
        if one.left_alone is not None:
            return Breaker("open", one.at, one.id, one.left_alone, scored_at)
        if one.scored:
            return Breaker("closed", one.at, one.id, None, scored_at)
        if one.refused is not None:
            return Breaker("failing", one.at, one.id, one.refused, scored_at)
    return SILENT


def _causes(degraded: Sequence[_Report]) -> list[Cause]:
    found: dict[str, list[tuple[_Report, str]]] = {}
    for one in degraded:
        for kind, words in {each.partition(":")[0]: each for each in one.degraded}.items():
            found.setdefault(kind, []).append((one, words))
    told = [Cause(kind, len(of), of[0][0].at, of[0][0].id, of[0][1]) for kind, of in found.items()]
    return sorted(told, key=lambda cause: cause.at, reverse=True)


def _told(latest: Sequence[_Report]) -> list[Told]:
    found: dict[str, Told] = {}
    for one in latest:
        for spent in one.said.get("budget", ()):
            found.setdefault(
                spent["budget"], Told(spent["budget"], spent["unit"], spent["left"], one.at, one.id)
            )
    return sorted(found.values(), key=lambda told: told.budget)


_SELECT = "SELECT id, at, details FROM calls"
_REFUSED = "scores rejected", "ScorerError", "ScorerTimeout"
_ITS_OWN = "Unscorable", "NotAnswerable"
