"""Text of users and models on a terminal: letters only, nothing that moves the cursor, colours, hides or reverses."""

from __future__ import annotations

import sys
import unicodedata

import typer

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARK = "\ufffd"


def line(text: str) -> str:
    r"""The text as one line: white space is one blank, control characters, bidirectional and invisible ones are marked.

    >>> line("a\n  b\x1b[31mc")
    'a b�[31mc'
    """
    return "".join(
        _MARK if unicodedata.category(each) in _HIDDEN else each for each in " ".join(text.split())
    )


def lines(text: str) -> list[str]:
    r"""The text's own lines, each as `line` has it but with its indentation.

    >>> lines("if x:\n    y\n")
    ['if x:', '    y']
    """
    return [_indent(each) + line(each) for each in text.splitlines()]


def _indent(text: str) -> str:
    return " " * (len(text) - len(text.lstrip(" ")))


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
