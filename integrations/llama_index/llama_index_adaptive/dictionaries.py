"""Dictionaries: what `to_dict` says of a middleware, and what `from_dict` needs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.llms.llm import LLM
from llama_index.core.llms.loading import load_llm

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.middleware import Middleware


def sampling_rules(middleware: Middleware) -> list[str]:
    """The names of the rules that do more than pass a call through: all that a dictionary can hold of them.

    >>> sampling_rules(Middleware())
    []
    """
    return [rule.name for rule in middleware.rules if not rule.passes_through]


def with_parts(data: Mapping[str, Any], given: Mapping[str, Any], own: type[LLM]) -> dict[str, Any]:
    """The settings that `data` and `given` make together, with the model as an object.

    The model is loaded as LlamaIndex does it, or as `own` when it is one. Raises `ConfigError` when the model must be
    given, or a middleware was left behind by `to_dict` and none is given.
    """
    settings = {**data, **given}
    if isinstance(settings.get("llm"), Mapping):
        settings["llm"] = _loaded(settings["llm"], own)
    if "middleware" not in given and settings.pop("middleware", ()):
        message = (
            f"a dictionary holds only the names of rules, here {data['middleware']!r}: "
            f"pass the middleware, {own.__name__}.from_dict(data, middleware=...)"
        )
        raise ConfigError(message)
    return settings


def _loaded(data: Mapping[str, Any], own: type[LLM]) -> LLM:
    if data.get("class_name") == own.class_name():
        return own.from_dict(dict(data))
    try:
        return load_llm(dict(data))
    except ValueError as error:
        name = data.get("class_name")
        message = (
            f"LlamaIndex cannot load the model {name!r} from a dictionary ({error}): "
            f"pass the model, {own.__name__}.from_dict(data, llm=...)"
        )
        raise ConfigError(message) from error
