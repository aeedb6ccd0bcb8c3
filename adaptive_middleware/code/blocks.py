"""The Python blocks of an answer: fenced ones, or what looks like code in an answer without any fence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from adaptive_middleware.code.fences import Fence, opened
from adaptive_middleware.code.parsing import parsed, standing
from adaptive_middleware.code.steps import code_steps, is_code

_BACK = 4
_NONE = Fence("```", 0, "")
"""What a text that begins with code is in: it has no fence of its own, and a stray closing one ends it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its lines without the fence, whether the fence names Python, and whether it was closed."""

    code: str
    named: bool = False
    closed: bool = True


def fenced(text: str) -> tuple[Block, ...] | None:
    r"""The blocks of `text` that may be Python, in their order; None where no fence is opened at all.

    >>> fenced("a\n```python\nx = 1\n```\n```sh\nls\n```\n"), fenced("x = 1")
    ((Block(code='x = 1\n', named=True, closed=True),), None)
    """
    reading = _Reading()
    for line in text.split("\n"):
        reading.read(line)
    reading.close(closed=False)
    return tuple(reading.found) if reading.fences else None


@dataclass(slots=True)
class _Reading:
    """Where a text is: in which block, and what came before. A text that begins with code is in a block without a fence."""

    fence: Fence | None = None
    fences: int = 0
    begun: bool = False
    lines: list[str] = field(default_factory=list)
    found: list[Block] = field(default_factory=list)

    def read(self, line: str) -> None:
        fence = opened(line)
        if not self.begun and line.strip():
            self.begun = True
            self.fence = _NONE if fence is None and is_code(line) else None
        inside = self.fence is not None
        if self.fence is not None and self.fence.closed_by(line):
            self.fences += 1
            self.close(closed=True)
        elif fence is not None and (
            not inside or (self.fence is _NONE and fence.language and not fence.indent)
        ):
            self.fences += 1
            self.close(closed=True)
            self.fence = fence
        elif self.fence is not None:
            self.lines.append(f"{self.fence.inside(line)}\n")

    def close(self, *, closed: bool) -> None:
        code = "".join(self.lines)
        if self.fence is not None and self.fence.python and code.strip():
            self.found.append(Block(code, named=bool(self.fence.language), closed=closed))
        self.fence = None
        self.lines.clear()


def unfenced(text: str) -> str:
    r"""The code in an answer without fences: all of it, or the longest run that is Python after the first line like code.

    >>> unfenced("The code:\ndef f(x):\n    return x\n\nIt returns x.")
    'def f(x):\n    return x\n\n'
    """
    if parsed(text) is not None:
        return text
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if is_code(line)), 0)
    code = "".join(lines[start:])
    return whole_part(code) or code


def whole_part(code: str, before: str = "") -> str:
    """The longest beginning of `code`, in whole steps, that is Python when it follows `before`; "" without one.

    A broken beginning never mends, so that the first broken step is found by halving. What is left may be open: its last
    steps are then left out, and where that does not end it (a `try` without its end), all from the last step of the top level on.
    """
    steps = code_steps(code, python=True)
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high + 1) // 2
        if standing(before + "".join(steps[:middle])) == "broken":
            high = middle - 1
        else:
            low = middle
    top = next((i for i in reversed(range(low)) if _is_top(steps[i])), 0)
    for end in (*range(low, max(low - _BACK, top), -1), top):
        if parsed(before + "".join(steps[:end])) is not None:
            return "".join(steps[:end])
    return ""


def _is_top(step: str) -> bool:
    """Whether a step begins at the top level; comments and blank lines before it do not count."""
    lines = (line for line in step.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return not next(lines, " ")[0].isspace()


def weight(block: Block, entry: str | None, tree: ast.Module | None) -> tuple[int, bool, bool]:
    """How likely a block is the program: what it defines, whether its fence says Python, whether it is closed.

    2: it defines `entry`, or anything where no entry is asked for; 1: it does something; 0: it is a value, as outputs
    are, or no Python.
    """
    if tree is None:
        return (0, block.named, block.closed)
    named = set(_definitions(tree))
    defines = entry in named if entry is not None else bool(named)
    does = any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in tree.body)
    return (2 if defines else int(does), block.named, block.closed)


def _definitions(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
