"""Text of users and models as letters only: nothing that moves a cursor, colours, hides or reverses."""

from __future__ import annotations

import unicodedata

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
