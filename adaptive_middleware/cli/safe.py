"""Standard output, whatever letters it can take."""

from __future__ import annotations

import sys

import typer


def say(text: str) -> None:
    """Print a line; letters that standard output cannot take are written as Python writes them."""
    encoding = sys.stdout.encoding or "ascii"
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def unicode_is_shown() -> bool:
    """Whether standard output can take letters beyond ASCII."""
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
