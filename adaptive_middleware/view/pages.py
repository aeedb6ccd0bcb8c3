"""The two pages: all calls, and one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaptive_middleware.trace.explain import explanation, moment
from adaptive_middleware.trace.reading import SHORT, Kept
from adaptive_middleware.view.figures import LATEST, LISTED, Figures, Line
from adaptive_middleware.view.html import facts, number, page, table, text
from adaptive_middleware.view.svg import bars, belief, reliability, score

_HEADS = "call", "time, UTC", "policy", "samples", "p", "lower", "tokens", "seconds", "degraded", "right"
_RIGHT = {None: "-", 0: "wrong", 1: "right"}


def overview(seen: Figures, name: str) -> str:
    """The page of all calls."""
    return page("Calls", _overview(seen, name))


def _overview(seen: Figures, name: str) -> Iterator[str]:
    yield f'<header><h1>Calls</h1><p>{text(name)} <span id="live" role="status"></span></p></header><main>'
    yield facts(_spent(seen))
    if not seen.lines:
        yield "<p>No call is kept yet. They appear here as they end.</p></main>"
        return
    yield f"<h2>Samples of a call</h2><p>Of the latest {len(seen.lines)} calls.</p>"
    yield f"<figure>{bars(seen.samples, 'calls by number of samples')}</figure>"
    yield from _calibration(seen)
    yield "<h2>Latest calls</h2>"
    rows = (_row(line) for line in seen.lines[:LISTED])
    yield table(f"The latest {min(len(seen.lines), LISTED)} of {seen.total} calls", _HEADS, rows)
    yield "</main>"


def _spent(seen: Figures) -> list[tuple[str, object]]:
    today, usd = seen.today, seen.today.usd
    latest = f"of the latest {len(seen.lines)}" if seen.total > LATEST else "of all"
    return [
        ("calls kept", seen.total),
        ("today, UTC", f"{today.calls} calls, {today.tokens} completion tokens"),
        ("spent today", None if usd is None else f"{usd:.4f} dollars, where a price is known"),
        (
            "tokens saved",
            None if seen.saved is None else f"{seen.saved:.0%} against the most samples, {latest}",
        ),
        ("degraded", f"{seen.degraded} calls {latest}"),
    ]


def _calibration(seen: Figures) -> Iterator[str]:
    yield "<h2>Calibration</h2>"
    judged = len(seen.judged)
    if not judged:
        yield "<p>Nothing is known of right and wrong: <code>adaptive-middleware feedback</code> tells it.</p>"
        return
    yield f"<p>{judged} calls with a probability are known to be right or wrong. On the line, both agree.</p>"
    yield f"<figure class='square'>{reliability(seen.bins, 'share of right answers by probability')}</figure>"
    if seen.drift is None:
        yield "<p>Drift is shown from 20 judged calls on.</p>"
        return
    older, newer = seen.drift
    yield (
        f"<p>Probability minus share of right answers: {older:+.3f} in the older half, {newer:+.3f} in the newer one. "
        "<code>adaptive-middleware audit</code> tests whether that is chance.</p>"
    )


def _row(line: Line) -> tuple[str, ...]:
    short = text(line.id[-SHORT:])
    return (
        f'<a href="/calls/{text(line.id)}">{short}</a>',
        text(moment(line.at)[:19].replace("T", " ")),
        text(line.rule),
        f"{line.samples} of {line.max_samples}",
        number(line.p),
        number(line.lower),
        str(line.tokens),
        number(line.seconds, ".2f"),
        str(line.degraded) if line.degraded else "-",
        _RIGHT[line.correct],
    )


def of_call(call: Kept) -> str:
    """The page of one call."""
    return page(f"Call {call.id[-SHORT:]}", _of_call(call, explanation(call)))


def _of_call(call: Kept, told: Mapping[str, Any]) -> Iterator[str]:
    cost = told["cost"]
    yield f'<header><p><a href="/">All calls</a></p><h1>Call {text(call.id[-SHORT:])}</h1></header><main>'
    yield facts([
        *((name, told[name]) for name in ("id", "time", "rule", "strategy", "model", "call_site", "run_id", "verdict")),
        ("seconds", number(told["seconds"])),
        ("samples", f"{cost['samples']} of at most {cost['fixed_n']}"),
        ("completion tokens", f"{cost['completion_tokens']} ({cost['saved_share']:.0%} saved against the most samples)"),
        ("dollars", cost["usd"]),
        ("p, lower", None if told.get("p") is None else f"{number(told['p'])}, {number(told['lower'])}"),
        ("selected by", told.get("selected_by")),
        ("abstained", told.get("abstained")),
        ("degraded", "; ".join(told.get("degraded", ())) or None),
    ])  # fmt: skip
    if told["question"] is not None:
        yield f"<h2>Question</h2><pre>{text(told['question'])}</pre>"
    if told["said"] is not None:
        yield f"<h2>Answer</h2><pre>{text(told['said'])}</pre>"
    if "decisions" in told:
        yield from _decided(told)
    yield "</main>"


def _decided(told: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Decisions</h2><ol>"
    for decision in told["decisions"]:
        shown = "" if decision["formula"] is None else f"<p class='faint'>{text(decision['formula'])}</p>"
        yield f"<li>{decision['more']:d} more: {text(decision['because'])}{shown}</li>"
    changes = "".join(f"<li>{text(each)}</li>" for each in told["would_change"])
    yield f"</ol>{f'<h3>What would have changed it</h3><ul>{changes}</ul>' if changes else ''}"
    yield "<h2>Belief in one more sample</h2>"
    yield from (f"<p>{text(note)}</p>" for note in told["notes"])
    rows = (
        (text(one["after"]), number(one["mean"]), f"{number(one['low'])} to {number(one['high'])}", belief(one["bins"], "belief"))
        for one in told["beliefs"]
    )  # fmt: skip
    yield table(
        "What was believed of the chance that one more sample is right",
        ("after", "mean", "80 %", "over 0 to 1"),
        rows,
    )
    yield "<h2>Samples</h2>"
    for sample in told["samples"]:
        yield from _sample(sample, chosen=told["chosen"] == sample["number"] - 1)


def _sample(sample: Mapping[str, Any], *, chosen: bool) -> Iterator[str]:
    yield f"<details{' open' if chosen else ''}><summary>Sample {sample['number']:d}{', returned' if chosen else ''}: p {number(sample['mean'])}</summary>"
    yield facts([
        ("answer", sample["answer"]),
        ("lower, upper", None if sample["lower"] is None else f"{number(sample['lower'])}, {number(sample['upper'])}"),
        ("verified", sample["verified"]),
        ("rejected", sample["rejected"]),
        ("completion tokens", sample["completion_tokens"]),
    ])  # fmt: skip
    steps, scores = list(sample["steps"] or ()), list(sample["step_scores"] or ())
    first = max(len(steps) - len(scores), 0)
    yield "<ol class='steps'>"
    for at in range(max(len(steps), len(scores))):
        value = scores[at - first] if at >= first and at - first < len(scores) else None
        shown = "" if value is None else f"{score(value)} {number(value)}"
        yield f"<li><pre>{text(steps[at] if at < len(steps) else '')}</pre><p>{shown}</p></li>"
    yield "</ol></details>"
