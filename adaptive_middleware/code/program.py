"""The program in an answer: out of its fences and the prose around it, and put behind the prompt that it completes."""

from __future__ import annotations

import re
from textwrap import indent

from adaptive_middleware.code.blocks import Block, fenced, unfenced, weight, whole_part
from adaptive_middleware.code.names import defined, functions, undefined
from adaptive_middleware.code.parsing import compiles, parsed
from adaptive_middleware.code.steps import is_code

_ENTRY = re.compile(r"^(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_DECORATED = re.compile(r"(?:^@.*\n)+\Z", re.MULTILINE)
_FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import.*\n?", re.MULTILINE)
_GOES_ON = re.compile(r"[ \t]|@|(?:async|class|def|from|if|import)\b")
_INDENT = " " * 4
_EARLIER = 16


def program_of(text: str, prompt: str = "", entry: str | None = None) -> str:
    r"""The Python program that an answer is: what a verifier runs, and what votes compare.

    Of several fenced blocks it is the last one that defines `entry` (the last function of `prompt` by default, any
    function without both), else the last that does something, else the last; earlier blocks are put before it where it
    uses what they define. Without a fence it is the text, less what is no Python around it. With a `prompt` of code, a
    whole function gets the prompt's imports and helpers, and a body gets the prompt before it, and indentation where
    the model left it out. Nothing is mended: what does not parse is returned as it was written.

    >>> program_of("So:\n```python\ndef f(x):\n    return x\n```\nFor example:\n```python\nprint(f(1))\n```\n")
    'def f(x):\n    return x\n'
    >>> program_of("return x + 1", "def f(x):\n")
    'def f(x):\n    return x + 1\n'
    """
    entries = _ENTRY.findall(prompt)
    wanted = entry if entry is not None or not entries else entries[-1]
    blocks = fenced(text)
    if blocks is None:
        return _completed(unfenced(text) if not entries else _answered(text, prompt, wanted), prompt, wanted)
    return _completed(_chosen(blocks, wanted), prompt, wanted) if blocks else ""


def code_so_far(text: str, prompt: str, entry: str | None, *, done: bool) -> str | None:
    """The code of an answer that may be unfinished: the block that is being written, else the program; None without code.

    A text without fences is code when its first line looks like it, and a finished one when any line does.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    blocks = fenced(text)
    if blocks is None and not any(map(is_code, lines if done else lines[:1])) and parsed(text) is None:
        return None
    if blocks == () or not lines:
        return None
    if done or (blocks and blocks[-1].closed):
        return program_of(text, prompt, entry)
    return _completed(blocks[-1].code if blocks else text, prompt, entry)


def _answered(text: str, prompt: str, entry: str | None) -> str:
    """What of a bare text goes with the prompt: the body of its function and what is Python after it, or a function."""
    if compiles(_completed(text, prompt, entry)):
        return text
    bare = unfenced(text)
    if _defines(bare, entry):
        return bare
    before = _head(prompt)
    return whole_part(_indented(before, text), before) or text


def _chosen(blocks: tuple[Block, ...], entry: str | None) -> str:
    """The block that is most likely the program, with those of the 16 before it that it needs."""
    weights = [weight(block, entry, parsed(block.code)) for block in blocks]
    at = max(range(len(blocks)), key=lambda i: (weights[i], i))
    code = blocks[at].code
    for block in reversed(blocks[max(at - _EARLIER, 0) : at]):
        if defined(block.code) & set(undefined(code)):
            code = f"{block.code.rstrip()}\n\n{code}"
    return code


def _completed(code: str, prompt: str, entry: str | None) -> str:
    """The code with what it needs of the prompt: its function's head, or what stands before that."""
    starts = list(_ENTRY.finditer(prompt))
    if not starts:
        return code
    if not (_defines(code, entry) or entry in _ENTRY.findall(code)):
        return _head(prompt) + _indented(_head(prompt), code)
    before = _DECORATED.sub("", prompt[: starts[-1].start()])
    if not before.strip() or parsed(before) is None:
        return code
    future = "".join(f"{line.strip()}\n" for line in _FUTURE.findall(code))
    return f"{future}{before.rstrip()}\n\n{_FUTURE.sub('', code)}"


def _head(prompt: str) -> str:
    return prompt if prompt.endswith("\n") else f"{prompt}\n"


def _defines(code: str, entry: str | None) -> bool:
    tree = parsed(code)
    return tree is not None and entry in functions(tree)


def _indented(head: str, code: str) -> str:
    """A function's body, indented: models leave out the indentation of the first line, or of all."""
    code = code.lstrip("\r\n")
    shown = [line for line in code.splitlines() if line.strip()]
    if not shown or shown[0][0] in " \t":
        return _ended(code)
    first = _ended(_INDENT + code)
    every = _ended(indent(code, _INDENT))
    fits = [body for body in (first, every) if compiles(head + body)]
    if len(fits) == 1:
        return fits[0]
    return first if len(shown) > 1 and _GOES_ON.match(shown[1]) else every


def _ended(code: str) -> str:
    return code if not code or code.endswith("\n") else f"{code}\n"
