"""Settings from a strict YAML or TOML file and the command line, with every problem named by key and place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from adaptive_middleware.collect.settings import Settings
from adaptive_middleware.config.document import (
    Document,
    KeyPath,
    Problem,
    dotted,
    from_mapping,
    refusal,
    unusable,
)
from adaptive_middleware.config.problems import nearest
from adaptive_middleware.config.source import read_file

_TAGS = ("lab", "transformers", "openai", "python", "exact", "unit-tests")


def read_settings(file: File | None, given: Mapping[str, Any]) -> Settings:
    """Settings of `file` (None: all defaults) with `given` put over them: nested mappings key by key.

    A section whose `kind` is given anew is replaced as a whole. Paths of models are relative to the folder of the file.
    Raises one `ConfigError` that lists every problem.
    """
    document = from_mapping({}) if file is None else read_file(file)
    problems = [*document.problems, *unusable(document)]
    value = {} if document.value is None else document.value
    if problems or not isinstance(value, dict):
        raise refusal(problems or [Problem("the document is not a mapping of keys")], document.file)
    folder = File() if file is None else file.parent
    merged = {**_resolved(value, folder), **{k: _over(value.get(k), v) for k, v in given.items()}}
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        found = [_problem(document, each) for each in error.errors(include_url=False)]
        raise refusal(found, document.file) from error


def _over(old: object, new: object) -> object:
    """`new`, or for sections: the old section with the new keys, unless the new one is of another kind."""
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return new
    if "kind" in new and new["kind"] != old.get("kind"):
        return new
    return {**old, **new}


def _resolved(value: Mapping[str, Any], folder: File) -> dict[str, Any]:
    """The sections with folders of models as they are meant: relative to the file."""
    resolved = dict(value)
    for name in ("sampler", "prm"):
        section = value.get(name)
        if isinstance(section, dict) and section.get("kind") == "transformers":
            place = folder / str(section.get("model", ""))
            resolved[name] = {**section, "model": str(place)} if place.is_dir() else section
    return resolved


def _problem(document: Document, error: ErrorDetails) -> Problem:
    path = tuple(part for index, part in enumerate(error["loc"]) if not (index == 1 and part in _TAGS))
    if error["type"] == "extra_forbidden":
        message = f"unknown key {path[-1]!r}{_inside(path[:-1])}; {nearest(str(path[-1]), list(_keys(path)))}"
        return Problem(message, path, document.at(path, key=True))
    if error["type"] == "missing":
        message = f"key {path[-1]!r} is missing{_inside(path[:-1])}; add it"
        return Problem(message, path, document.at(path[:-1], key=True))
    shown = repr(error["input"])
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return Problem(f"{dotted(path) or 'the document'} is {shown}: {error['msg']}", path, document.at(path))


def _inside(path: KeyPath) -> str:
    return f" in {dotted(path)}" if path else ""


def _keys(path: KeyPath) -> Iterator[str]:
    """The keys that are known where `path` ends: of the document, or of all kinds of the section."""
    if len(path) == 1:
        yield from Settings.model_fields
        return
    schema = Settings.model_json_schema()
    node = schema["properties"].get(path[0], {})
    options = [*node.get("anyOf", []), node]
    mapping: dict[str, str] = next(
        (each["discriminator"]["mapping"] for each in options if "discriminator" in each), {}
    )
    known = [schema["$defs"][ref.rpartition("/")[2]]["properties"] for ref in mapping.values()]
    yield from dict.fromkeys(key for properties in known for key in properties)
