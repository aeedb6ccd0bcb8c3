"""The tools that a request offers, read from the forms in which frameworks and providers write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ELSEWHERE = frozenset(
    {
        "additionalProperties", "unevaluatedProperties", "patternProperties", "$ref", "$dynamicRef", "allOf", "anyOf",
        "oneOf", "if", "dependentSchemas",
    }
)  # fmt: skip
"""Keywords by which a schema may allow arguments beside its `properties`."""


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """Names of tools with the JSON schema of their arguments: None where a tool has no such schema.

    `complete` says that every tool of the request could be read, so that any other name is a tool that is not there.
    """

    schemas: Mapping[str, Mapping[str, object] | None]
    complete: bool


def offered_tools(tools: Sequence[object]) -> OfferedTools:
    """The tools of `Request.tools`, which are in OpenAI's form (chat, or responses), LangChain's or Anthropic's.

    A tool that the provider runs itself (`{"type": "web_search"}`) has no name that a call could use. A schema with
    `properties` that does not say what else may be given allows nothing else.

    >>> offered_tools([{"name": "f", "input_schema": {"properties": {"a": {}}}}]).schemas
    {'f': {'properties': {'a': {}}, 'additionalProperties': False}}
    """
    read = [_read(tool) for tool in tools]
    known = {tool[0]: _closed(tool[1]) for tool in read if tool is not None}
    return OfferedTools(known, complete=bool(known) and None not in read)


def _read(tool: object) -> tuple[str, Mapping[str, object] | None] | None:
    """Name and schema; None when the form is not known, or it is no tool that is called by its name."""
    if not isinstance(tool, Mapping):
        return None
    inner = tool.get("function", tool)
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        return None
    schema = inner.get("input_schema", inner.get("parameters"))
    if schema is None and tool.get("type") == "function":
        schema = {"type": "object", "properties": {}}
    return inner["name"], schema if isinstance(schema, Mapping) else None


def _closed(schema: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if schema is None or "properties" not in schema or _ELSEWHERE & schema.keys():
        return schema
    return {**schema, "additionalProperties": False}
