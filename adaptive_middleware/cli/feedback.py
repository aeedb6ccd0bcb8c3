"""`adaptive-middleware feedback`: say whether the answer of a kept call was right."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from adaptive_middleware.cli.store_option import CallId, Json, Store, place


class Correct(StrEnum):
    """Whether an answer was right; `unknown` takes back what was said."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


_VALUES = {Correct.TRUE: True, Correct.FALSE: False, Correct.UNKNOWN: None}
_WORDS = {Correct.TRUE: "right", Correct.FALSE: "wrong", Correct.UNKNOWN: "not known"}


def feedback(
    call: CallId,
    correct: Annotated[Correct, typer.Option(help="Whether the returned answer was right.")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Say whether the answer of a kept call was right; calibrations and audits learn from that."""
    from adaptive_middleware.trace.feedback import judge  # noqa: PLC0415 - `--help` stays fast

    whole = judge(place(store), call, correct=_VALUES[correct])
    if as_json:
        typer.echo(json.dumps({"id": whole, "correct": _VALUES[correct]}))
    else:
        typer.echo(f"call {whole}: its answer is {_WORDS[correct]}")
