"""The option `--store`: the file of kept calls that a command reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="ADAPTIVE_MIDDLEWARE_STORE",
        help="The trace store; default: adaptive-middleware/traces.db in the user's state folder.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
CallId = Annotated[str, typer.Argument(help="Id of a call, the end of one, or `last`.", metavar="ID")]


def place(store: Path | None) -> Path:
    """The file that was named, or the default one."""
    from adaptive_middleware.trace.settings import default_place  # noqa: PLC0415 - `--help` stays fast

    return default_place() if store is None else store
