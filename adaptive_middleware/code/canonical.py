"""Canonical programs: what a program does, without how it is laid out or commented, so that equal programs vote together."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from adaptive_middleware.code.parsing import parsed
from adaptive_middleware.code.program import program_of
from adaptive_middleware.tool_calls import canonical_calls
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Path


def canonical_program(code: str) -> str | None:
    r"""The program without comments, docstrings and layout, as Python itself writes it; None where it is no Python.

    Names stay: programs that differ only in the names of variables are different.

    >>> canonical_program('def f(x):\n    "Adds."\n    return (x+ 1)  # one')
    'def f(x):\n    return x + 1'
    """
    tree = parsed(code)
    if tree is None or not tree.body:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _undocument(node)
    try:
        return ast.unparse(tree)
    except (ValueError, RecursionError):
        return None


def program_answer(path: Path, rules: Sequence[ToolRule] = ()) -> str | None:
    r"""The answer of `path` as a canonical program, for strategies (`answer=program_answer`); None when it holds none.

    An answer that calls tools says those calls and nothing else, as everywhere.

    >>> program_answer(Path(("Sure:\n", "```python\nx=1\n```\n")))
    'x = 1'
    """
    if path.tool_calls:
        return canonical_calls(path.tool_calls, rules)
    return canonical_program(program_of(path.text))


def _undocument(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        node.body = node.body[1:] or [ast.Pass()]
