"""The part of the page about health: calls over time, the circuit breaker of scoring as calls tell it, and why calls got less."""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import SHORT
from adaptive_middleware.view.figures import Figures
from adaptive_middleware.view.html import call_link, table, text
from adaptive_middleware.view.over_time import calls_over_time, slots
from adaptive_middleware.view.recent import Breaker, Recent

_STATES = {
    "closed": ("good", "closed", "The latest call that tells anything was scored."),
    "open": (
        "bad",
        "open",
        "The process reward model failed too often in a row; calls go on by votes, and it is tried again.",
    ),
    "failing": ("bad", "failing", "Scores failed; whether the breaker is open already is not said."),
    "unknown": ("faint", "not known", "No call among them asked for a score."),
}
_LIVES = (
    "The breaker itself lives in each service process and cannot be seen from here. This is what the calls in the store say: "
    "without calls nothing is said, and of several processes the latest call speaks."
)


def health(seen: Figures) -> Iterator[str]:
    """The section as markup."""
    if seen.lines:
        picture = calls_over_time(slots(seen.lines), "calls over time, and the degraded ones among them")
        legend = '<span class="key soft"></span> calls <span class="key warn"></span> degraded'
        yield f"<figure>{picture}<figcaption>{legend}; {seen.degraded:,d} of {len(seen.lines):,d} calls are degraded.</figcaption></figure>"
    yield "<h3>Circuit breaker of scoring</h3>"
    yield from _breaker(seen.recent.breaker, seen.recent.looked)
    yield "<h3>Why calls got less</h3>"
    yield from _causes(seen.recent)


def _breaker(breaker: Breaker, looked: int) -> Iterator[str]:
    kind, word, means = _STATES[breaker.state]
    yield f'<p><strong class="{kind}">{word}</strong>, by the latest {looked:,d} calls. {means}</p>'
    if breaker.at is not None and breaker.call is not None:
        cause = "" if breaker.cause is None else f": {text(breaker.cause)}"
        yield f"<p>{_time(breaker.at)}, call {call_link(breaker.call, breaker.call[-SHORT:])}{cause}</p>"
    if breaker.state != "closed" and breaker.scored_at is not None:
        yield f"<p>Last scored: {_time(breaker.scored_at)}.</p>"
    yield f'<p class="faint">{_LIVES}</p>'


def _causes(recent: Recent) -> Iterator[str]:
    if not recent.causes:
        yield "<p>No degraded call among the latest 5,000.</p>"
        return
    rows = (
        (text(one.kind), f"{one.calls:,d}", call_link(one.call, _time(one.at)[5:]), f'<span class="words">{text(one.words)}</span>')
        for one in recent.causes
    )  # fmt: skip
    heads = "cause", "calls", "last, UTC", "in its words"
    yield table("Causes of the latest 50 degraded calls among the latest 5,000", heads, rows)


def _time(at: float) -> str:
    return moment(at)[:19].replace("T", " ")
