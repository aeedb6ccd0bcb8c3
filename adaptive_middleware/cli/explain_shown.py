"""The readable page of an explained call: the answer first, then beliefs, decisions, what would have changed, and the cost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from adaptive_middleware.cli.safe import unicode_is_shown
from adaptive_middleware.legible import line, lines
from adaptive_middleware.trace.beliefs import picture
from adaptive_middleware.trace.formula import drops

_PAPER = 110
_STEPS = 20
"""Most steps of the returned answer that are shown."""
_NARROW, _WIDE = 60, 75
"""Columns below which no page is made to fit, and from which a belief's quantiles have room."""
_USED = ("requests", "prompt_tokens", "completion_tokens")
_ASCII = " .:-=+*#@"


def shown(told: Mapping[str, Any]) -> Iterator[str]:
    """The page, line by line, none wider than the terminal."""
    width = max(shutil.get_terminal_size((_PAPER, 24)).columns, _NARROW) if sys.stdout.isatty() else _PAPER
    yield from _head(told, width)
    if told["unanswered"] is not None:
        yield from _unanswered(told, width)
    elif "decisions" not in told:
        yield "passed through: one sample, nothing was decided"
        yield from _quoted(told["said"], width)
    else:
        yield from _answer(told, width)
        yield from _beliefs(told, width)
        yield from _decisions(told, width)
    yield from _cost(told, width)
    yield from _budget(told, width)


def _unanswered(told: Mapping[str, Any], width: int) -> Iterator[str]:
    used = told["used"]
    counts = ", ".join(f"{used[name]:,} {name.replace('_', ' ')}" for name in _USED)
    yield from _wrapped(f"no answer, {line(told['unanswered'])}: {line(told['cause'])}", width, then="  ")
    yield from _wrapped(
        f"used until then: {counts}{', in part estimated' * used['estimated']}", width, then="  "
    )


def _head(told: Mapping[str, Any], width: int) -> Iterator[str]:
    yield f"call {line(told['id'])}"
    names = [
        f"{name.replace('_', ' ')} {line(told[name])}"
        for name in ("rule", "model", "call_site", "run_id")
        if told[name]
    ]
    yield from _wrapped(f"{told['time']}, {told['seconds']:.3f} s; {', '.join(names)}", width)
    yield from _wrapped(line(told["strategy"]), width)
    yield ""
    yield from _quoted(told["question"], width)
    yield ""


def _quoted(text: str | None, width: int) -> Iterator[str]:
    if text is None:
        yield "  (texts are not kept at this level)"
        return
    for each in lines(text):
        yield from _wrapped(each, width, "  ")


def _answer(told: Mapping[str, Any], width: int) -> Iterator[str]:
    chosen = None if told["chosen"] is None else told["samples"][told["chosen"]]
    if chosen is not None:
        kept = "" if chosen["answer"] is None else f" ({line(chosen['answer'])[:60]})"
        tie = ", a tie" if told["tied"] else ""
        said = f"returned: sample {chosen['number']}{kept}, by {line(told['selected_by'])}{tie}"
        yield from _wrapped(said, width, then="  ")
        yield from _probability(told, chosen, width)
        yield from _steps(chosen, width)
    if told["abstained"]:
        yield from _wrapped(f"withheld: {line(told['abstained'])}", width)
    if told["said"] is not None:
        yield "said in its place:"
        yield from _quoted(told["said"], width)
    for what in ("degraded", "failed"):
        for cause in told[what]:
            yield from _wrapped(f"{what}: {line(cause)}", width)
    yield from _wrapped(f"verdict: {told['verdict']}{_how_to_say(told)}", width)


def _how_to_say(told: Mapping[str, Any]) -> str:
    known = told["verdict"] != "unknown"
    return (
        "" if known else f"; say it by `adaptive-middleware feedback {line(told['id'])[-12:]} --correct true`"
    )


def _probability(told: Mapping[str, Any], chosen: Mapping[str, Any], width: int) -> Iterator[str]:
    if told["p"] is None:
        return
    raw = "" if chosen["raw"] is None else f"raw score {chosen['raw']:.4f} -> "
    bounds = "" if told["lower"] is None else f" ({told['lower']:.3f} to {told['upper']:.3f})"
    how = "calibrated" if told["calibrated"] else "not calibrated: the raw score at its word"
    yield from _wrapped(f"{raw}right with p = {told['p']:.3f}{bounds}, {how}", width, "  ", "    ")


def _steps(chosen: Mapping[str, Any], width: int) -> Iterator[str]:
    scores: Sequence[float | None] = chosen["step_scores"] or ()
    steps: Sequence[str] = chosen["steps"] or ()
    scores = [*[None] * (len(steps) - len(scores)), *scores]
    for score, step in list(zip(scores, steps or [""] * len(scores), strict=False))[:_STEPS]:
        said = "     -" if score is None else f"{score:6.4f}"
        yield _cut(f"    {said}  {line(step)}", width)
    if len(steps) > _STEPS:
        yield f"    ... {len(steps) - _STEPS} more steps"


def _beliefs(told: Mapping[str, Any], width: int) -> Iterator[str]:
    letters = " ▁▂▃▄▅▆▇█" if unicode_is_shown() else _ASCII
    scores = {f"sample {each['number']}": each for each in told["samples"]}
    scores["question"] = {"raw": None, "mean": None, **(told["before"] or {}), "verified": None}
    for number, each in enumerate(told["dropped"], 1):
        scores[f"dropped {number}"] = {"raw": None, "mean": each["p"], "verified": None}
    size, wide = len(told["beliefs"][0]["bins"]), width >= _WIDE
    yield ""
    yield from _wrapped("believed chance that one more sample is right, before any and after each", width)
    yield f"{'':10}{'raw':>7}{'c':>7}   0{'0.5':^{size - 2}}1    mean{'   10 % .. 90 %' * wide}"
    for seen in told["beliefs"]:
        score = scores.get(seen["after"], {"raw": None, "mean": None, "verified": None})
        c = {True: "passed", False: "failed", None: _number(score["mean"])}[score["verified"]]
        bounds = f"  {seen['low']:.3f} .. {seen['high']:.3f}" * wide
        drawn = picture(seen["bins"], letters)
        yield f"{seen['after']:10}{_number(score['raw']):>7}{c:>7}  |{drawn}|  {seen['mean']:.3f}{bounds}"
    for note in told["notes"]:
        yield from _wrapped(f"note: {note}", width)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _decisions(told: Mapping[str, Any], width: int) -> Iterator[str]:
    yield ""
    yield "decided"
    for number, decision in enumerate(told["decisions"], 1):
        verb = (
            f"draw {decision['more']}" if decision["more"] > 0 else "drop one" if drops(decision) else "stop"
        )
        yield from _wrapped(f"{number:>3}. {verb}: {line(decision['because'])}", width, then="     ")
        if decision["formula"] is not None:
            yield from _wrapped(decision["formula"], width, "       ")
    yield ""
    yield "would have changed the last decision"
    changes = told["would_change"] or ["the numbers of this policy do not tell"]
    for change in changes:
        yield from _wrapped(f"  - {change}", width, then="    ")


def _cost(told: Mapping[str, Any], width: int) -> Iterator[str]:
    cost = told["cost"]
    usd = "" if cost["usd"] is None else f", {cost['usd']:.4f} USD"
    yield ""
    drawn = f"{cost['samples']} sample{'s' * (cost['samples'] != 1)}"
    tokens = f"{cost['completion_tokens']:,} completion tokens, {cost['prm_tokens']:,} PRM tokens{usd}"
    yield from _wrapped(f"cost: {drawn}, {tokens}", width, then="  ")
    if cost["fixed_n"] > 1:
        saved = cost["saved_share"]
        word = f"{saved:.0%} saved" if saved >= 0 else f"{-saved:.0%} more"
        always = f"always {cost['fixed_n']} samples: about {cost['fixed_tokens']:,} completion tokens; {word}"
        yield from _wrapped(always, width, then="  ")


def _budget(told: Mapping[str, Any], width: int) -> Iterator[str]:
    """What each budget had free when the call was granted something, and what the call took of it."""
    for spent in told.get("budget", ()):
        free, reserved, settled, left = (
            _amount(spent.get(name), spent["unit"]) for name in ("free", "reserved", "settled", "left")
        )
        said = (
            f"budget, {line(spent['budget'])}: {free} free when granted, {reserved} reserved, {settled} spent"
        )
        yield from _wrapped(f"{said}; {left} left afterwards", width, then="  ")


def _amount(value: int | None, unit: str) -> str:
    """An amount as people write it; dollars are counted in millionths."""
    if value is None:
        return "an unknown amount"
    return f"{value / 1e6:,.4f} USD" if unit == "usd" else f"{value:,} {unit.replace('_', ' ')}"


def _wrapped(text: str, width: int, first: str = "", then: str | None = None) -> list[str]:
    rest = first if then is None else then
    return wrap(text, width, initial_indent=first, subsequent_indent=rest, drop_whitespace=True) or [""]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…" if unicode_is_shown() else text[:width]
