"""Configuration: a YAML or TOML file, or a mapping, read strictly, checked as a whole, and built.

All problems of a document are reported together, each with its place, and nothing of it is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike

from pydantic import ValidationError

from adaptive_middleware.config.build import Config, Plan
from adaptive_middleware.config.checks import contradictions, written_problems
from adaptive_middleware.config.document import (
    Document,
    Place,
    Problem,
    from_mapping,
    in_order,
    refusal,
    unusable,
)
from adaptive_middleware.config.problems import schema_problems
from adaptive_middleware.config.schema import Settings, json_schema
from adaptive_middleware.config.source import read_file
from adaptive_middleware.config.summary import summary

__all__ = ["Config", "Plan", "Problem", "check", "json_schema", "load", "refusal", "summary"]


def load(source: str | PathLike[str] | Mapping[str, object]) -> Config:
    """Read and check a configuration: the path of a .yaml, .yml or .toml file, or a mapping of the same shape.

    Raises one `ConfigError` that lists every problem with file, line, column and remedy; its `line` and
    `column` are those of the first. Nothing is loaded before `Config.build`.

    >>> load({"version": 1, "policies": {"default": {"strategy": "pass-through"}}}).build().rules[0].name
    'default'
    """
    result = check(source)
    if isinstance(result, Config):
        return result
    raise refusal(result, _file(source))


def check(source: str | PathLike[str] | Mapping[str, object]) -> Config | tuple[Problem, ...]:
    """The configuration, or else all its problems in the order of the file.

    Raises `ConfigError` when the file itself cannot be read.
    """
    if isinstance(source, Mapping):
        return _checked(from_mapping(source))
    return _checked(read_file(source))


def _checked(document: Document) -> Config | tuple[Problem, ...]:
    if document.value is None:
        empty = Problem("the document is empty; begin with 'version: 1'", (), Place(1, 1))
        return document.problems or (empty,)
    early = [*document.problems, *unusable(document), *written_problems(document)]
    document = replace(document, problems=tuple(early))
    try:
        settings = Settings.model_validate(document.value)
    except ValidationError as error:
        found = schema_problems(document, error.errors(include_url=False))
        return in_order([*early, *found])
    problems = [*early, *([] if early else contradictions(document, settings))]
    return in_order(problems) if problems else Config(settings, document)


def _file(source: str | PathLike[str] | Mapping[str, object]) -> str | None:
    return None if isinstance(source, Mapping) else str(source)
