r"""Steps of a text with code in it: statements of Python, blank-line blocks of everything else, while it streams.

A line is looked at once, when it is whole; what it means never depends on later lines. A step of Python is a statement of
the top level, or of the first level of blocks inside it: a function is cut between the statements of its body, a class
between its methods. What opens a block stays with its first statement (or docstring), `else` and its like with what
came before, a comment with what follows it, and the lines of a fence with the code inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adaptive_middleware.code.fences import Fence, opened
from adaptive_middleware.code.lines import PythonLines

_DEEPEST = 1
_BARE = re.compile(
    r"[ \t]+\S|@\w|#!|\"{3}|'{3}|(?:async[ \t]+def|def)[ \t]+\w|class[ \t]+\w+[ \t]*[:(\[]|from[ \t]+[\w.]+[ \t]+import\b"
    r"|import[ \t]+(?!\w+[ \t]+from\b|[^#]*;[ \t]*$)\w"
    r"|(?:if|for|while|with|try)\b[^.?!]*:[ \t]*(?:#|$)|(?:return|assert)\b|print\(|[A-Za-z_][\w.\[\]]*[ \t]*[-+*/]?=(?!=)"
)


def is_code(line: str) -> bool:
    """Whether a text that begins with `line`, outside any fence, is taken for Python and not for prose.

    >>> [is_code(line) for line in ("def f(x):", "    return x", "x = 1", "Here is the function:", "class Box {")]
    [True, True, True, False, False]
    """
    return _BARE.match(line) is not None


@dataclass(slots=True)
class CodeSteps:
    r"""Cuts a text into steps, line by line; `steps` gathers what is closed.

    >>> cutting = CodeSteps()
    >>> for line in ("So:\n", "```python\n", "def f(x):\n", "    y = x\n", "    return y\n", "```\n"):
    ...     cutting.read(line)
    >>> cutting.steps, cutting.rest
    (['So:\n', '```python\ndef f(x):\n    y = x\n'], '    return y\n```\n')
    """

    steps: list[str] = field(default_factory=list)
    _step: list[str] = field(default_factory=list)
    _held: list[str] = field(default_factory=list)
    _visible: bool = False
    _due: bool = False
    _begun: bool = False
    _fence: Fence | None = None
    _python: PythonLines | None = None

    @classmethod
    def after(cls, text: str) -> CodeSteps:
        """One that has cut `text` already: the next line begins a step of its own."""
        cutting = cls()
        for line in _lines(text):
            cutting.read(line)
        cutting.steps.clear()
        cutting._step.clear()
        cutting._held.clear()
        cutting._visible = False
        return cutting

    @property
    def rest(self) -> str:
        """What follows the last closed step."""
        return "".join([*self._step, *self._held])

    def take(self) -> list[str]:
        """The steps closed since this was last asked for."""
        taken, self.steps = self.steps, []
        return taken

    def read(self, line: str) -> None:
        """The next line, with the line break that ends it; only the last line of a text may have none."""
        if not self._begun and line.strip():
            self._begun = True
            self._python = PythonLines() if opened(line) is None and is_code(line) else None
        if self._ended_by(line):
            self._keep(line)
            self._fence, self._python, self._due = None, None, True
        elif (fence := self._opened_by(line)) is not None:
            self._cut(line)
            self._fence, self._python, self._due = fence, PythonLines() if fence.python else None, False
        elif self._python is None:
            self._block(line)
        else:
            self._statement(line, self._python)

    def _ended_by(self, line: str) -> bool:
        """Whether `line` closes the open fence, or ends code that stands without one."""
        if self._fence is not None:
            return self._fence.closed_by(line)
        return self._python is not None and not self._python.in_string and line.rstrip() == "```"

    def _opened_by(self, line: str) -> Fence | None:
        """The fence that `line` opens; in code without one, only where no string is open, and not indented."""
        bare = self._python is not None and (self._python.in_string or not line.startswith("```"))
        return None if self._fence is not None or bare else opened(line)

    def _block(self, line: str) -> None:
        """Prose, or another language: blank lines divide."""
        if not line.strip():
            self._due = True
            self._keep(line)
        elif self._due:
            self._cut(line)
        else:
            self._keep(line)

    def _statement(self, line: str, python: PythonLines) -> None:
        kind = python.read(line if self._fence is None else self._fence.inside(line))
        if kind == "comment" or (kind == "blank" and self._held):
            self._held.append(line)
        elif kind == "statement" and python.depth <= _DEEPEST and not (python.opens or python.continues):
            self._cut(line)
        else:
            self._keep(line)

    def _keep(self, line: str) -> None:
        """The line belongs to the open step, and comments held before it do."""
        self._step += [*self._held, line]
        self._held.clear()
        self._visible = self._visible or bool(line.strip())

    def _cut(self, line: str) -> None:
        """The line begins a step, unless nothing visible came before it."""
        if self._visible:
            self.steps.append("".join(self._step))
            self._step.clear()
        self._due = False
        self._keep(line)


def code_steps(text: str, *, python: bool = False) -> list[str]:
    r"""The steps of a whole text; joined, they are the text. With `python` its first line is Python, whatever it looks like.

    >>> code_steps("import re\n\n# words\ndef f(s):\n    return re.findall(r'\\w+', s)\n")
    ['import re\n\n', "# words\ndef f(s):\n    return re.findall(r'\\w+', s)\n"]
    """
    cutting = CodeSteps(_begun=python, _python=PythonLines() if python else None)
    for line in _lines(text):
        cutting.read(line)
    rest = cutting.rest
    return [*cutting.steps, rest] if rest else cutting.steps


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]
