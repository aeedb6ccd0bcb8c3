"""The part of the page about budgets: caps with what is spent and reserved of them, and reservations in flight."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.look import Look, Reserved
from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import SHORT
from adaptive_middleware.view.amounts import amount, limit
from adaptive_middleware.view.html import call_link, table, text
from adaptive_middleware.view.recent import Recent
from adaptive_middleware.view.spend import Room, Spend
from adaptive_middleware.view.svg import meter

_UNSEEN = {
    "call": "Counted in each call alone: never in the store.",
    "run": "No run is counted now. (Calls outside of a run are counted in themselves alone.)",
}


def spending(now: Spend, recent: Recent) -> Iterator[str]:
    """The section as markup."""
    yield f'<p class="faint">{text(now.budgets.said)}</p>'
    if now.problem is not None:
        yield f'<p class="bad" role="alert">{text(now.problem)}</p>'
    if now.look is None:
        yield from _caps_alone(now)
        yield from _told(recent)
        return
    for cap, rooms, more in now.rooms:
        yield f"<h3>{text(limit(cap))}</h3>"
        yield from _rooms(cap, rooms, more)
    yield from _in_flight(now.look, now.at)


def _caps_alone(now: Spend) -> Iterator[str]:
    if now.budgets.caps:
        yield f"<ul>{''.join(f'<li>{text(limit(cap))}</li>' for cap in now.budgets.caps)}</ul>"


def _rooms(cap: Cap, rooms: tuple[Room, ...], more: int) -> Iterator[str]:
    if not rooms:
        yield f"<p>{_UNSEEN.get(cap.window, f'Nothing is counted in this {cap.window}.')}</p>"
        return
    yield '<ul class="meters">'
    for room in rooms:
        left = cap.limit - room.settled - room.held
        unit = cap.unit
        state = f"{amount(unit, left)} left" if left >= 0 else f"{amount(unit, -left)} over"
        yield (
            f"<li><span>{text(room.whose)}, {text(room.period)}</span>{meter(room.settled, room.held, cap.limit)}"
            f"<span>{amount(unit, room.settled)} spent, {amount(unit, room.held)} reserved, {state}"
            f" ({(room.settled + room.held) / cap.limit:.0%})</span></li>"
        )
    yield f"</ul>{f'<p>And {more:,d} more.</p>' if more else ''}"


def _in_flight(look: Look, at: float) -> Iterator[str]:
    yield "<h3>Reservations in flight</h3>"
    if not look.calls:
        yield "<p>None: no call is under way that these budgets count.</p>"
        return
    lost = sum(one.gone for one in look.reserved)
    yield f"<p>{look.calls:,d} calls have something reserved.</p>"
    if lost:
        yield f'<p class="bad">{lost} of them are of processes that have ended: the next call that finds no room settles them to what is certain.</p>'
    heads = "answers", "reserved", "process", "until, UTC"
    rows = (_reserved(one, at) for one in look.reserved)
    yield table(f"The {len(look.reserved)} whose leases end first", heads, rows)


def _reserved(one: Reserved, at: float) -> tuple[str, ...]:
    held = ", ".join(_held(key, amount_) for key, amount_ in one.held.items())
    process = "-" if one.process is None else f"{text(one.process)}{', ended' if one.gone else ''}"
    ends = "-" if one.ends_in is None else text(moment(at + one.ends_in)[11:19])
    return str(one.answers), f'<span class="words">{held}</span>', process, ends


def _held(key: str, value: int) -> str:
    """An amount with the account that it is held in."""
    unit, scope, window = key.split(":")
    kind, _, name = scope.partition("=")
    whose = f" of {kind} {text(unquote(name, errors='replace'))}" if name else ""
    words = {"usd": "", "prm_ms": " of scoring"}.get(unit, f" {unit}")
    return f"{amount(unit, value)}{words} ({window.partition('=')[0]}{whose})"


def _told(recent: Recent) -> Iterator[str]:
    if not recent.told:
        return
    yield f"<p>What the latest {recent.looked} calls were told when they ended; of a budget of each tenant, policy or model, theirs.</p>"
    rows = (
        (
            text(one.budget),
            "the store was away" if one.left is None else amount(one.unit, one.left),
            text(moment(one.at)[:19].replace("T", " ")),
            call_link(one.call, one.call[-SHORT:]),
        )
        for one in recent.told
    )
    yield table("Left of budgets, as calls were told", ("budget", "left", "time, UTC", "call"), rows)
