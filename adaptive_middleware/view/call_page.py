"""The page of one call: its decisions, the belief after each sample, and every sample with its steps and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.reading import SHORT, Kept
from adaptive_middleware.view.html import facts, number, page, table, text
from adaptive_middleware.view.svg import belief, score


def of_call(call: Kept) -> str:
    """The page of one call."""
    return page(f"Call {call.id[-SHORT:]}", _of_call(call, explanation(call)))


def _of_call(call: Kept, told: Mapping[str, Any]) -> Iterator[str]:
    cost = told["cost"]
    yield f'<header><p><a href="/">All calls</a></p><h1>Call {text(call.id[-SHORT:])}</h1></header><main>'
    yield facts([
        *((name, told[name]) for name in ("id", "time", "rule", "strategy", "model", "call_site", "run_id", "verdict")),
        ("no answer", None if told["unanswered"] is None else f"{told['unanswered']}: {told['cause']}"),
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
        yield f"<li><pre>{text(steps[at].rstrip() if at < len(steps) else '')}</pre><p>{shown}</p></li>"
    yield "</ol></details>"
