"""Test cases in an answer that was asked for tests: its assertions about one function, each on its own."""

from __future__ import annotations

import ast

from adaptive_middleware.code.blocks import fenced, unfenced, whole_part
from adaptive_middleware.code.names import undefined
from adaptive_middleware.code.parsing import parsed


def asserts_in(text: str, entry: str, most: int = 100) -> tuple[str, ...]:
    r"""The assertions about `entry`, in the order in which they are written, each as one line of Python; at most `most`.

    Assertions are found in any block and at any depth, and what is cut off at the end is left out. One that uses names
    beside `entry` that Python does not know (a variable of its test) could not be run alone and is left out, too.

    >>> asserts_in("```python\nassert f(1) == 2  # one\ndef test():\n    assert f(2) == 3, 'two'\n    assert f(\n", "f")
    ('assert f(1) == 2', "assert f(2) == 3, 'two'")
    """
    blocks = fenced(text)
    codes = [unfenced(text)] if blocks is None else [block.code for block in blocks]
    found = [case for code in codes for case in _asserts(code)]
    return tuple(case for case in found if _about(case, entry))[:most]


def _asserts(code: str) -> list[str]:
    tree = parsed(code) or parsed(whole_part(code)) or ast.Module([], [])
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    return [ast.unparse(node) for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))]


def _about(case: str, entry: str) -> bool:
    return undefined(case) == (entry,)
