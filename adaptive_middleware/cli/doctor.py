"""`adaptive-middleware doctor`: whether this machine and a configuration can do what is asked, with the fix of what cannot."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adaptive_middleware.doctor import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    config: Annotated[str | None, typer.Option(help="Configuration to examine, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check Python, extras, devices, clock, disk, keys, servers and every part of a configuration (exit status 1 on a failure).

    Loads the process reward model and asks every server once; nothing is generated.
    """
    from adaptive_middleware.doctor import examine, worst  # noqa: PLC0415 - loads pydantic

    sys.path.insert(0, str(Path.cwd()))  # your own parts, as `python -m` would find them
    findings = examine(config)
    if as_json:
        found = list(findings)
        shown = {"status": worst(found), "checks": [asdict(each) for each in found]}
        typer.echo(json.dumps(shown))
    else:
        found = list(_shown(findings))
        typer.echo(_summary(found))
    raise typer.Exit(1 if worst(found) == "fail" else 0)


def _shown(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, each printed as it is made."""
    for each in findings:
        said = [*each.what.splitlines(), *([f"fix: {each.fix}"] if each.fix else [])]
        first, *more = [part for line in said for part in _fitting(line)]
        mark = typer.style(f"{each.status:<4}", fg=_COLOURS[each.status], bold=each.status != "ok")
        typer.echo(f"{mark}  {each.name:<12} {first}")
        for line in more:
            typer.echo(f"{'':<18} {line}")
        yield each


def _fitting(line: str) -> list[str]:
    """The line without what a terminal would obey, in pieces that fit on a terminal; whole in a file."""
    plain = "".join(letter if letter.isprintable() else " " for letter in line)
    if not sys.stdout.isatty():
        return [plain]
    width = max(40, shutil.get_terminal_size().columns - 20)
    return textwrap.wrap(plain, width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _summary(found: list[Finding]) -> str:
    failed, warned = (sum(each.status == status for each in found) for status in ("fail", "warn"))
    if not failed + warned:
        return f"\n{len(found)} checks: all is well."
    return f"\n{len(found)} checks: {failed} failed, {warned} to look at."
