"""`adaptive-middleware what-if`: what another policy would have made of the calls that are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from adaptive_middleware.cli.policy_spec import Spec, parse
from adaptive_middleware.cli.search_options import Model, Rule, Since, Until, search
from adaptive_middleware.cli.store_option import Json, Store, place

if TYPE_CHECKING:
    from adaptive_middleware.cli.what_if_figures import Mean
    from adaptive_middleware.cli.what_if_replay import Case, Row


def what_if(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="KIND[:field=value,..], repeatable, as `bench replay` takes them; absent: fixed N = 1, 2, 4, .."
        ),
    ] = None,
    model: Model = None,
    rule: Rule = None,
    since: Since = None,
    until: Until = None,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Most calls, the latest ones.")] = 2000,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Ask policies again about kept calls: samples, tokens, dollars and, where it is known, accuracy.

    Samples come in the order in which they were drawn, with the estimates that they had; nothing is generated or scored.
    """
    from adaptive_middleware.cli.what_if_replay import actual, cases, played  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.trace.reading import found  # noqa: PLC0415 - as above

    specs = [parse(text) for text in policy or ()]
    calls = list(found(place(store), search(None, model, rule, None, since, until, degraded=False), most))
    ready = cases(calls)
    if not ready:
        message = f"no call to ask about: {len(calls)} were found, and none has samples that were considered"
        typer.echo(f"error: {message}; see `adaptive-middleware logs`", err=True)
        raise typer.Exit(1)
    rows = [actual(ready), *(played(spec, ready) for spec in specs or _fixed(ready))]
    left_out = len(calls) - len(ready)
    if as_json:
        typer.echo(json.dumps(_plain(rows, ready, left_out)))
        return
    for line in _shown(rows, ready, left_out):
        typer.echo(line)


def _fixed(ready: Sequence[Case]) -> list[Spec]:
    largest = max(len(one.right) for one in ready)
    return [parse(f"fixed:n={2**power}") for power in range(largest.bit_length())]


def _plain(rows: Sequence[Row], ready: Sequence[Case], left_out: int) -> dict[str, object]:
    return {
        "calls": len(ready),
        "questions": len({one.group for one in ready}),
        "left_out": left_out,
        "rows": [
            {
                "policy": row.policy,
                "samples": _interval(row.samples),
                "tokens": _interval(row.tokens),
                "usd": None if row.usd is None else _interval(row.usd),
                "judged_calls": row.judged,
                "accuracy": row.accuracy,
                "accuracy_ci95": row.accuracy_ci95,
                "asked_for_more": row.short,
            }
            for row in rows
        ],
    }


def _interval(value: Mean) -> dict[str, object]:
    return {"mean": value.value, "ci95": value.ci95}


def _shown(rows: Sequence[Row], ready: Sequence[Case], left_out: int) -> Iterator[str]:
    questions = len({one.group for one in ready})
    yield f"{len(ready)} calls of {questions} questions; {left_out} that were passed through are left out. Means per call:"
    width = max(len(row.policy) for row in rows)
    yield f"{'policy':<{width}}  {'samples':>8} {'tokens':>16} {'dollars':>9} {'accuracy':>20}  asked for more"
    for row in rows:
        half = row.tokens.ci95[1] - row.tokens.value
        usd = "" if row.usd is None else f"{row.usd.value:.5f}"
        yield (
            f"{row.policy:<{width}}  {row.samples.value:>8.2f} {f'{row.tokens.value:.0f} +- {half:.0f}':>16} {usd:>9} "
            f"{_accuracy(row):>20}  {row.short:.0%}"
        )
    if any(row.short for row in rows):
        yield (
            "Asked for more: only drawn samples are kept, so these calls would have cost more than shown, "
            "and may have been right more often."
        )
    if not rows[0].judged:
        yield "Nothing is known of right and wrong: `adaptive-middleware feedback` or a verifier tells it."


def _accuracy(row: Row) -> str:
    if row.accuracy is None or row.accuracy_ci95 is None:
        return "not known"
    low, high = row.accuracy
    known = f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"
    return f"{known} ({row.judged})"
