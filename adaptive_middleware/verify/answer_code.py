"""The code of an answer: what a model put between fences."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")


def code_of(text: str) -> str:
    r"""The Python code of an answer: its fenced blocks together, or all of it where there is none.

    >>> code_of("First\n```python\nx = 1\n```\nthen\n```\ny = 2\n```\n```text\nz\n```"), code_of("x = 1")
    ('x = 1\n\ny = 2\n', 'x = 1')
    """
    blocks = [body for language, body in _FENCE.findall(text) if language.lower() in _PYTHON]
    if blocks or _FENCE.search(text):
        return "\n".join(blocks)
    return text
