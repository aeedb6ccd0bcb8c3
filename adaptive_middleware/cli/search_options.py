"""The options that say which kept calls are meant."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from adaptive_middleware.trace.reading import Search


class Known(StrEnum):
    """What is known of a returned answer."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


_MOMENT = "2026-11-24, 2026-11-24T12:30 (UTC where no zone is named), or an age: 90m, 12h, 7d."
Text = Annotated[str | None, typer.Option("--text", "-q", help="Text in the question or in an answer.")]
Model = Annotated[str | None, typer.Option(help="The wrapped model, exactly.")]
Rule = Annotated[str | None, typer.Option(help="The policy of the configuration, by name.")]
Verdict = Annotated[Known | None, typer.Option(help="What is known of the returned answer.")]
Since = Annotated[str | None, typer.Option(help=f"Calls from then on: {_MOMENT}", metavar="TIME")]
Until = Annotated[str | None, typer.Option(help=f"Calls before: {_MOMENT}", metavar="TIME")]
Degraded = Annotated[bool, typer.Option("--degraded", help="Calls that got less than they asked for.")]
Failed = Annotated[bool, typer.Option("--failed", help="Calls without an answer: failed or cancelled.")]

_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def search(  # noqa: PLR0913, PLR0917 - one search, by its options
    text: str | None,
    model: str | None,
    rule: str | None,
    verdict: Known | None,
    since: str | None,
    until: str | None,
    *,
    degraded: bool,
    failed: bool = False,
) -> Search:
    """The search that the options describe; a bad time is a usage error."""
    from adaptive_middleware.trace.reading import Search  # noqa: PLC0415 - `--help` stays fast

    return Search(
        text,
        model,
        rule,
        _word(verdict),
        _moment("--since", since),
        _moment("--until", until),
        degraded,
        failed,
    )


def _word(verdict: Known | None) -> Literal["right", "wrong", "unknown"] | None:
    match verdict:
        case None:
            return None
        case Known.RIGHT:
            return "right"
        case Known.WRONG:
            return "wrong"
        case Known.UNKNOWN:
            return "unknown"


def _moment(option: str, written: str | None) -> float | None:
    if written is None:
        return None
    if age := _AGE.fullmatch(written):
        return time.time() - float(age.group(1)) * _SECONDS[age.group(2)]
    try:
        found = datetime.fromisoformat(written)
    except ValueError as error:
        message = f"{written!r} is no time; write {_MOMENT}"
        raise typer.BadParameter(message, param_hint=option) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
