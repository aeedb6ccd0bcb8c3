"""`adaptive-middleware trace`: take kept calls out of their store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from adaptive_middleware.trace.reading import Kept

app = typer.Typer(no_args_is_help=True, help="Kept calls: take them out of their store.")


class Form(StrEnum):
    """What an export is for."""

    CALLS = "calls"
    AUDIT = "audit"
    RECORDING = "recording"


class Format(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command()
def export(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="calls: all that is kept; audit: reports with outcomes; recording: to replay and calibrate on.",
        ),
    ] = Form.CALLS,
    written_as: Annotated[
        Format,
        typer.Option("--format", help="jsonl, or parquet: calls as a table (needs the extra `parquet`)."),
    ] = Format.JSONL,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write; absent: standard output, for lines alone."),
    ] = None,
    text: Text = None,
    model: Model = None,
    rule: Rule = None,
    verdict: Verdict = None,
    since: Since = None,
    until: Until = None,
    degraded: Degraded = False,
    failed: Failed = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write kept calls as JSONL or Parquet, as a store for `audit`, or as a recording for `bench replay` and `calibrate`."""
    from adaptive_middleware.trace import export as exports  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.trace.reading import found  # noqa: PLC0415 - as above

    wanted = search(text, model, rule, verdict, since, until, degraded=degraded, failed=failed)
    calls = found(place(store), wanted)
    if written_as is Format.PARQUET:
        _table(form, calls, out, force=force, as_json=as_json)
        return
    if form is Form.RECORDING:
        out = _needed(out, "a recording needs a file: name it by --out FILE.jsonl or --out FILE.jsonl.gz")
        made = exports.recorded(calls)
        exports.write_problems(out, made.problems, force=force)
        written = {"problems": len(made.problems), "calls": made.calls}
        written |= {"calls_left_out": made.without_texts, "samples_left_out": made.unknown_samples}
        _tell(out, written, as_json)
        return
    lines = exports.json_lines(calls) if form is Form.CALLS else exports.audit_lines(calls)
    if out is None:
        _echoed(lines)
    else:
        _tell(out, {"calls": exports.write_lines(out, lines, force=force)}, as_json)


def _table(form: Form, calls: Iterable[Kept], out: Path | None, *, force: bool, as_json: bool) -> None:
    from adaptive_middleware.trace.parquet import write_table  # noqa: PLC0415 - as above

    if form is not Form.CALLS:
        message = f"a table has calls, and --as is {form}; write that as jsonl"
        raise typer.BadParameter(message, param_hint="--format")
    file = _needed(out, "a table needs a file: name it by --out FILE.parquet")
    _tell(file, {"calls": write_table(file, calls, force=force)}, as_json)


def _needed(out: Path | None, message: str) -> Path:
    if out is None:
        raise typer.BadParameter(message, param_hint="--out")
    return out


def _echoed(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _tell(out: Path, written: dict[str, int], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"file": str(out), **written}))
        return
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in written.items())
    typer.echo(f"wrote {out}: {counts}")
