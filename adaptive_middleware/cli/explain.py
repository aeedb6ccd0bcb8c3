"""`adaptive-middleware explain`: why a kept call got what it got."""

from __future__ import annotations

import json

import typer

from adaptive_middleware.cli.store_option import CallId, Json, Store, place


def explain(call: CallId = "last", store: Store = None, as_json: Json = False) -> None:
    """Show scores, probabilities, beliefs and decisions of a call, what would have changed them, and what was saved."""
    from adaptive_middleware.cli.explain_shown import shown  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.cli.safe import say  # noqa: PLC0415 - as above
    from adaptive_middleware.trace.explain import explanation  # noqa: PLC0415 - as above
    from adaptive_middleware.trace.reading import one  # noqa: PLC0415 - as above

    told = explanation(one(place(store), call))
    if as_json:
        typer.echo(json.dumps(told, allow_nan=False))
        return
    for line in shown(told):
        say(line)
