"""Signals: what can be told of an answer's code while it is written, before anything of it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adaptive_middleware.code.blocks import whole_part
from adaptive_middleware.code.names import defined, undefined
from adaptive_middleware.code.parsing import Standing, standing
from adaptive_middleware.code.program import code_so_far

_HEAD = re.compile(r"^(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_ASSERTED = re.compile(r"^[ \t]*assert[ \t(]+(?:not[ \t]+)?([A-Za-z_]\w*)[ \t]*\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of the code so far.

    `standing` is "broken" when no continuation can make it Python. `undefined` are names that it uses and nothing
    defines yet, `defines_entry` says whether the wanted function is there (also when none is wanted).
    """

    standing: Standing
    undefined: tuple[str, ...] = ()
    defines_entry: bool = True

    @property
    def runnable(self) -> bool:
        """Whether tests of the wanted function could be run now: the code is whole and lacks nothing it uses."""
        return self.standing == "whole" and self.defines_entry and not self.undefined


def signals_of(text: str, prompt: str = "", entry: str | None = None, *, done: bool = True) -> Signals | None:
    r"""The signals of an answer's code, or None where it holds no code (yet).

    `prompt` is code that the answer completes, if it does; `entry` is the function that tests will call. While an
    answer is not `done`, its last line counts only with its line break.

    >>> signals_of("```python\ndef f(x):\n    return g(x)\n", entry="f", done=False)
    Signals(standing='whole', undefined=('g',), defines_entry=True)
    >>> signals_of("def f(x)\n    return x\n").standing, signals_of("Let me think.\n\n", done=False)
    ('broken', None)
    """
    read = text if done else text[: text.rfind("\n") + 1]
    code = code_so_far(read, prompt, entry, done=done)
    if code is None:
        return None
    code = code if code.endswith("\n") else f"{code}\n"
    found = standing(code)
    if found == "broken":
        return Signals(found, defines_entry=False)
    whole = code if found == "whole" else whole_part(code)
    return Signals(found, undefined(whole), entry is None or entry in defined(whole))


def entry_of(question: str) -> str | None:
    r"""The function that a question asks for: the last one whose head it shows, else the first one that it asserts about.

    >>> entry_of("Complete:\n```python\ndef add(a, b):\n```"), entry_of("Double x.\nassert double(2) == 4")
    ('add', 'double')
    """
    shown = _HEAD.findall(question)
    if shown:
        return str(shown[-1])
    asserted = _ASSERTED.search(question)
    return None if asserted is None else asserted.group(1)
