"""Python's own parser asked about text that may be hostile, unfinished or no Python: every answer is a value."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Literal, TypeAlias

Standing: TypeAlias = Literal["whole", "open", "broken"]
"""A program; the beginning of one; or what no continuation can make one."""

_INCOMPLETE = 0x4000  # PyCF_ALLOW_INCOMPLETE_INPUT, as the standard library's codeop passes it
_ALONE = Lock()
_REFUSED = (SyntaxError, ValueError, RecursionError, MemoryError)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of the parser: the code's own faults, such as a wrong escape, are not for the caller's log.

    Filters of warnings belong to the process, so one thread at a time may set them aside.
    """
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parsed(code: str) -> ast.Module | None:
    """The syntax tree of `code`; None where it is not Python, or too deep or long for Python's parser.

    >>> parsed("x = 1") is None, parsed("x = = 1") is None
    (False, True)
    """
    try:
        with quiet():
            return ast.parse(code)
    except _REFUSED:
        return None


def compiles(code: str) -> bool:
    r"""Whether Python would run `code` at all: it parses, and its statements stand where they may.

    >>> compiles("return 1"), parsed("return 1") is None
    (False, False)
    """
    try:
        with quiet():
            compile(code, "<answer>", "exec", dont_inherit=True)
    except _REFUSED:
        return False
    return True


def standing(code: str) -> Standing:
    r"""Whether `code`, of which every line is whole, is a program or can still become one.

    >>> [standing(code) for code in ("x = 1\n", "def f(x):\n", "try:\n    x\n", "x = = 1\n")]
    ['whole', 'open', 'open', 'broken']
    """
    try:
        with quiet():
            compile(code, "<answer>", "exec", ast.PyCF_ONLY_AST | _INCOMPLETE, dont_inherit=True)
    except SyntaxError as error:
        return "open" if "incomplete input" in str(error.msg) else "broken"
    except _REFUSED:
        return "broken"
    return "whole"
