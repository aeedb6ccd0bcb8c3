"""YAML, read strictly: every value keeps its place, and what YAML 1.1 would read in surprising ways is refused.

PyYAML resolves `010` to 8, `12:30` to 750 and `no` to False, reads `1e3` as text, keeps the last of two
equal keys, and lets a few aliases stand for gigabytes. Here each of these is a problem with its place
and its remedy.
"""

from __future__ import annotations

import re
from math import isfinite

import yaml

from adaptive_middleware.config.document import MAX_DEPTH, Document, KeyPath, Place, Problem, dotted

_TAG = "tag:yaml.org,2002:"
_NUMBER_LIKE = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?")
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9]\d*)\.\d+([eE][-+]?\d+)?")


def read_yaml(text: str, file: str) -> Document:
    """The document in `text`; what cannot be read is listed in its `problems`."""
    try:
        reader = _Reader(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return _unreadable(
            f"character {text[error.position]!r} is not allowed in YAML; remove it", place, file
        )
    try:
        value = reader.document()
    except _RefusedError as error:
        return _unreadable(error.message, error.place, file)
    except yaml.MarkedYAMLError as error:
        message = ", ".join(part for part in (error.context, error.problem) if part)
        return _unreadable(f"not valid YAML: {message}", _place(error.problem_mark), file)
    except (ValueError, OverflowError) as error:  # PyYAML lets these escape for "\UFFFFFFFF" and the like
        return _unreadable(f"not valid YAML: {error}", _place(reader.get_mark()), file)
    return Document(value, file, reader.keys, reader.values, reader.spellings, tuple(reader.problems))


def _unreadable(message: str, place: Place, file: str) -> Document:
    return Document(None, file, problems=(Problem(message, (), place),))


class _RefusedError(Exception):
    """Ends the reading of a document that is valid YAML, but more than a configuration needs."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message, self.place = message, place


class _Reader(yaml.SafeLoader):
    """PyYAML's parser and composer; the values are made here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[Problem] = []
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self.spellings: dict[KeyPath, str] = {}
        self._depth = 0

    def refuse(self, message: str, path: KeyPath, place: Place) -> None:
        self.problems.append(Problem(message, path, place))

    def document(self) -> object:
        root = self.get_single_node()
        return None if root is None else self._value(root, ())

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse anchors, aliases, tags and bottomless nesting before a node is made of them."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if (message := _refusal(event, self._depth)) is not None:
            raise _RefusedError(message, _place(event.start_mark))
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self.values[path] = _place(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, (*path, index)) for index, each in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - the only other kind of node
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, place = self._key(key_node, path), _place(key_node.start_mark)
            if key is None:
                continue
            inner = (*path, key)
            if key in result:
                first = self.keys[inner].line
                message = f"key {key!r} appears twice{_inside(path)}; the first is in line {first}: keep one"
                self.refuse(message, inner, place)
                continue
            self.keys[inner] = place
            result[key] = self._value(value_node, inner)
        return result

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            return str(node.value)
        place = _place(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(f"a list or mapping cannot be a key{_inside(path)}", (*path, "?"), place)
            return None
        message = f"key {node.value!r}{_inside(path)} is read as {_kind(node)} in YAML 1.1; quote it"
        if node.tag == f"{_TAG}merge":
            message = "merge keys (<<) are not supported; repeat the values"
        self.refuse(message, (*path, str(node.value)), place)
        return None

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        kind, written = node.tag.removeprefix(_TAG), str(node.value)
        if node.style is not None or (kind == "str" and not _NUMBER_LIKE.fullmatch(written)):
            return written
        if kind == "null":
            return None
        if kind == "bool":
            self.spellings[path] = written
            return written.lower() in {"yes", "true", "on"}
        if kind == "int" and _INTEGER.fullmatch(written):
            return int(written)
        if kind in {"float", "str"} and _DECIMAL.fullmatch(written) and isfinite(float(written)):
            return float(written)
        self.refuse(f"{dotted(path) or 'the document'} is {_trap(kind, written)}", path, self.values[path])
        return None


_TRAPS = (  # kind, pattern, what it is, remedy
    ("timestamp", r".*", "which YAML 1.1 reads as a date", None),
    ("merge|value", r".*", "which is a special key in YAML 1.1", None),
    (
        "int|float",
        r".*:.*",
        "which YAML 1.1 reads as a number in base 60",
        "write the plain number of seconds",
    ),
    ("float", r"[-+]?\.(?i:inf|nan)", "which is not a finite number", "write a finite one"),
    ("int", r"[-+]?0[\d_]+", "which YAML 1.1 reads as an octal number", "write it without the leading 0"),
    ("int", r"[-+]?0[xb].*", "which is not a decimal number", "write it in decimal digits"),
    ("str", r".*[eE].*", "which YAML 1.1 reads as text", "write the number in full, such as 1000"),
    (r"\w+", r".*", "which is not a plain decimal number", "write it as 1000 or 0.5"),
)


def _trap(kind: str, written: str) -> str:
    """What YAML 1.1 makes of a plain scalar that reads differently to people, and the remedy."""
    what, remedy = next(
        (what, remedy)
        for kinds, pattern, what, remedy in _TRAPS
        if re.fullmatch(kinds, kind) and re.fullmatch(pattern, written)
    )
    quote = f'quote it ("{written}") if text is meant'
    return f"{written!r}, {what}; {quote if remedy is None else f'{remedy}, or {quote}'}"


def _kind(node: yaml.ScalarNode) -> str:
    kind = node.tag.removeprefix(_TAG)
    names = {
        "bool": "a boolean",
        "null": "nothing",
        "timestamp": "a date",
        "int": "a number",
        "float": "a number",
    }
    return names.get(kind, f"a {kind}")


def _inside(path: KeyPath) -> str:
    return f" in {dotted(path)}" if path else ""


def _refusal(event: yaml.Event, depth: int) -> str | None:
    """Why no value is made of this part of a document, if so."""
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:  # an alias has one too
        return "anchors (&), aliases (*) and merge keys are not supported; repeat the value"
    if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
        return f"the tag {event.tag!r} is not supported; write the plain value"
    return f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else None


def _place(mark: object) -> Place:
    return Place(mark.line + 1, mark.column + 1) if isinstance(mark, yaml.Mark) else Place()
