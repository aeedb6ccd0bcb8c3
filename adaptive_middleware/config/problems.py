"""What pydantic found, said in the words of a configuration: the key, the value as written, the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, reduce
from typing import Any, cast

from pydantic_core import ErrorDetails

from adaptive_middleware.config.document import Document, KeyPath, Problem, dotted
from adaptive_middleware.config.schema import json_schema

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_NOT_YET = {("budget", "per_run"), ("budget", "per_day")}
_PATTERNS: Mapping[str | int, str] = {
    "complaint": "text with {output} in it",
    "device": "cpu, mps, cuda or cuda:0, cuda:1, ...",
    "sha256": "64 digits of 0-9 and a-f",
    "sha256_files": "64 digits of 0-9 and a-f",
    "urls": "http(s)://host:port",
    "base_url": "http(s)://host:port/v1",
    "key_env": "the name of an environment variable",
    "target": "'package.module:name'",
}


_schema = cache(json_schema)


def schema_problems(document: Document, errors: Sequence[ErrorDetails]) -> list[Problem]:
    """One problem for each of pydantic's `errors` that is not the consequence of another one."""
    seen = {problem.path for problem in document.problems}
    schema = _schema()
    found = []
    for error in errors:
        problem = _problem(document, schema, error)
        explained = problem.path if error["type"] != "extra_forbidden" else problem.path[:-1]
        around = {explained[:length] for length in range(1, len(explained) + 1)}
        if not around & seen and not _follows(error, errors):
            found.append(problem)
    return found


def nearest(word: str, known: Sequence[str]) -> str:
    """The sentence that names the nearest of `known` and then all of them.

    >>> nearest("max_sample", ["max_samples", "policy"])
    "did you mean 'max_samples'? Valid: 'max_samples', 'policy'"
    """
    listed = ", ".join(repr(each) for each in known)
    close = get_close_matches(word.lower().replace("-", "_"), [each.replace("-", "_") for each in known], n=1)
    if not close:
        return f"valid: {listed}"
    match = next(each for each in known if each.replace("-", "_") == close[0])
    return f"did you mean {match!r}? Valid: {listed}"


def _problem(document: Document, schema: Mapping[str, Any], error: ErrorDetails) -> Problem:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_too_short" and error["loc"][-1] == "[key]":
        inside = tuple(part for part, is_tag in _steps(schema, error["loc"][:-2]) if not is_tag)
        place = document.at((*inside, error["loc"][-2]), key=True)
        return Problem(f"a name in {dotted(inside)} is empty; write one", inside, place)
    path = tuple(part for part, is_tag in _steps(schema, error["loc"]) if not is_tag)
    if kind == "extra_forbidden":
        return _unknown(document, schema, error, path)
    if kind in {"missing", "union_tag_not_found"}:
        return _missing(document, schema, error, path)
    if kind == "union_tag_invalid":
        return _choice(document, schema, error, (*path, context["discriminator"].strip("'")))
    message = f"{dotted(path) or 'the document'} {_wrong(document, schema, error, path)}"
    return Problem(message, path, document.at(path))


def _unknown(document: Document, schema: Mapping[str, Any], error: ErrorDetails, path: KeyPath) -> Problem:
    valid = list(_node(schema, error["loc"][:-1]).get("properties", {}))
    message = f"unknown key {path[-1]!r}{_inside(path[:-1])}; {nearest(str(path[-1]), valid)}"
    if path in _NOT_YET:
        message = f"{dotted(path)} is not supported yet; remove it. Valid: {', '.join(map(repr, valid))}"
    return Problem(message, path, document.at(path, key=True))


def _missing(document: Document, schema: Mapping[str, Any], error: ErrorDetails, path: KeyPath) -> Problem:
    if error["type"] == "missing":
        key, inside = str(path[-1]), path[:-1]
        meaning = _node(schema, error["loc"]).get("description", "")
    else:
        key, inside = error["ctx"]["discriminator"].strip("'"), path
        meaning = "one of " + ", ".join(map(repr, _tags(_node(schema, error["loc"]))))
    message = f"key {key!r} is missing{_inside(inside)}; add it: {meaning}"
    return Problem(message, (*inside, key), document.at(inside, key=True))


def _choice(document: Document, schema: Mapping[str, Any], error: ErrorDetails, path: KeyPath) -> Problem:
    value = _value(document.value, path)
    valid = _tags(_node(schema, error["loc"]))
    message = f"{dotted(path)} is {_shown(document, path, value)}; {nearest(str(value), valid)}"
    return Problem(message, path, document.at(path))


def _wrong(document: Document, schema: Mapping[str, Any], error: ErrorDetails, path: KeyPath) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    shown = _shown(document, path, value)
    if kind in _KINDS:
        remedy = "; remove the quotes" if _is_quoted_number(kind, value) else ""
        remedy = "; quote it" if kind == "string_type" and isinstance(value, (bool, int, float)) else remedy
        return f"is {shown}, but must be {_KINDS[kind]}{remedy}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"is {shown}, but must be {words} {context[bound]:g}"
    if kind == "literal_error":
        return f"is {shown}; {nearest(str(value), _words(_node(schema, error['loc'])))}"
    if kind == "string_pattern_mismatch":
        return f"is {shown}, but must be {_pattern(path)}"
    if kind in {"too_short", "string_too_short"}:
        return "is empty; write something, or remove the key"
    return f"is {shown}: {error['msg']}"


def _shown(document: Document, path: KeyPath, value: object) -> str:
    if path in document.spellings:
        return f"{document.spellings[path]!r}, read as the boolean {str(value).lower()}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    written = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "a huge number"
    return written if len(written) <= 80 else f"{written[:77]}..."


def _pattern(path: KeyPath) -> str:
    return next(_PATTERNS[part] for part in reversed(path) if part in _PATTERNS)


def _is_quoted_number(kind: str, value: object) -> bool:
    return kind in {"int_type", "float_type"} and isinstance(value, str) and value.strip().isdecimal()


def _follows(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether this says only that a list is short of the elements that other errors are about."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        len(each["loc"]) > len(loc) and each["loc"][: len(loc)] == loc for each in errors
    )


def _inside(path: KeyPath) -> str:
    return f" in {dotted(path)}" if path else ""


def _node(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    node: Mapping[str, Any] = schema
    for part in loc:
        node = _descend(schema, node, part)[0]
    return _resolved(schema, node)


def _steps(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Iterator[tuple[str | int, bool]]:
    """The parts of a pydantic location, and whether each only names the chosen member of a union."""
    node: Mapping[str, Any] = schema
    for part in loc:
        node, is_tag = _descend(schema, node, part)
        yield part, is_tag


def _descend(
    schema: Mapping[str, Any], node: Mapping[str, Any], part: str | int
) -> tuple[Mapping[str, Any], bool]:
    """The schema of what `part` leads to, and whether it only chose the member of a union."""
    node = _resolved(schema, node)
    if "discriminator" in node:
        return {"$ref": node["discriminator"]["mapping"][part]}, True
    if part in node.get("properties", {}):
        return node["properties"][part], False
    inner = node.get("additionalProperties", node.get("items", {}))
    return inner if isinstance(inner, Mapping) else {}, False


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in node:
        return node
    target = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _words(node: Mapping[str, Any]) -> list[str]:
    return list(node["enum"]) if "enum" in node else [node["const"]]


def _tags(node: Mapping[str, Any]) -> list[str]:
    return list(node["discriminator"]["mapping"])


def _value(value: object, path: KeyPath) -> object:
    """The value at `path`, whose parts pydantic has just walked."""
    return reduce(lambda inside, part: inside[part], path, cast("Any", value))
