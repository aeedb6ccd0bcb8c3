"""`adaptive-middleware logs`: the calls that are kept, searched."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adaptive_middleware.cli.search_options import (
    Degraded,
    Failed,
    Model,
    Rule,
    Since,
    Text,
    Until,
    Verdict,
    search,
)
from adaptive_middleware.cli.store_option import Json, Store, place


def logs(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    text: Text = None,
    model: Model = None,
    rule: Rule = None,
    verdict: Verdict = None,
    since: Since = None,
    until: Until = None,
    degraded: Degraded = False,
    failed: Failed = False,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Most calls to list.")] = 20,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """List kept calls, the latest first: all, or those that a search finds."""
    from adaptive_middleware.cli.logs_shown import plain, shown  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.cli.safe import say  # noqa: PLC0415 - as above
    from adaptive_middleware.trace.reading import found  # noqa: PLC0415 - as above

    wanted = search(text, model, rule, verdict, since, until, degraded=degraded, failed=failed)
    calls = list(found(place(store), wanted, most))
    if as_json:
        typer.echo(json.dumps({"calls": [plain(call) for call in calls]}, allow_nan=False))
        return
    for line in shown(calls):
        say(line)
