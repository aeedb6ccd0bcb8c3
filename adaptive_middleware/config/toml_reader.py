"""TOML, read by the standard library; places are found again by looking for the keys.

`tomllib` tells no places of values. A key that stands at the beginning of a line, or a table's header, is
found; for what stands inside an inline table the place is that of the line's own key.
"""

from __future__ import annotations

import re
import tomllib

from adaptive_middleware.config.document import Document, KeyPath, Place, Problem

_TEXT = re.compile(  # long texts first, then what could hold their quotes
    r'"""(?:\\.|[^\\])*?"""|' r"'''.*?'''" r'|"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|#[^\n]*", re.DOTALL
)
_HEADER = re.compile(r"\s*(\[\[?[^\]=]*\]\]?)\s*(#.*)?")
_KEY = re.compile(r"""[ \t]*(?=\S)((?:[\w-]|"[^"]*"|'[^']*'|[ \t.])+?)\s*=\s*""")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(text: str, file: str) -> Document:
    """The document in `text`; when it is not TOML, its one problem says where and why."""
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets
        return Document(None, file, problems=(_problem(error, text),))
    keys, values = _places(text)
    return Document(value, file, keys, values)


def _problem(error: Exception, text: str) -> Problem:
    message = str(error)
    place = Place()
    if (found := _AT.search(message)) is not None:
        last = text.count("\n") + 1
        place = Place(int(found[1]), int(found[2])) if found[1] else Place(last)
        message = message[: found.start()]
    return Problem(f"not valid TOML: {message}", (), place)


def _places(text: str) -> tuple[dict[KeyPath, Place], dict[KeyPath, Place]]:
    text = _TEXT.sub(lambda found: _blanked(found[0]), text)
    keys: dict[KeyPath, Place] = {}
    values: dict[KeyPath, Place] = {(): Place(1, 1)}
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if (found := _HEADER.fullmatch(line)) is not None:
            table = _path(found[1]) or table
            keys.setdefault(table, Place(number, found.start(1) + 1))
        elif (found := _KEY.match(line)) is not None:
            path = (*table, *_path(f"{found[1]} = 0"))
            keys.setdefault(path, Place(number, found.start(1) + 1))
            values.setdefault(path, Place(number, found.end() + 1))
    return keys, values


def _blanked(text: str) -> str:
    """A text of several lines, emptied, but as long; anything else as it is."""
    return '""' + "\n" * text.count("\n") if text.startswith(('"""', "'''")) else text


def _path(written: str) -> KeyPath:
    """The key path of a header or of a `key = 0` line, as tomllib reads it.

    Empty for a line of a longer list, which only looks like a header.
    """
    try:
        value: object = tomllib.loads(written)
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(value, (dict, list)) and value:
        value = value[0] if isinstance(value, list) else value
        if isinstance(value, dict) and value:
            key = next(iter(value))
            path.append(key)
            value = value[key]
    return tuple(path)
