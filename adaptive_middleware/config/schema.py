"""Schema version 1: every key that a configuration may hold, with its type, range, default and meaning.

The models are strict (no text for numbers, no booleans for numbers), frozen, and know no extra keys. The JSON
schema for editors is made from them, so a description here is what an editor shows.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from adaptive_middleware.config.budgets import Budget, CapRule
from adaptive_middleware.config.calls import Mode
from adaptive_middleware.config.fields import Model, Text
from adaptive_middleware.config.observing import PythonObserver, Telemetry, Trace
from adaptive_middleware.config.prms import Prm
from adaptive_middleware.config.strategies import PolicyRule
from adaptive_middleware.config.upstream import Upstream


class Settings(Model):
    """Configuration of adaptive_middleware: which calls get how much compute."""

    version: Annotated[int, Field(ge=1, le=1)] = Field(description="Version of this schema: 1.")
    prm: Prm | None = Field(None, description="Process reward model; absent: decide by votes alone.")
    calibration: Text | None = Field(
        None,
        description="Calibration bundle (a JSON file, or the folder of a fine-tuned one, relative to this file), 'lab' "
        "for the embedded one, or 'none': raw scores taken at their word.",
    )
    generator: Text | None = Field(
        None, description="Id of the wrapped model: a calibration bundle of another one is then refused."
    )
    upstream: Upstream | None = Field(
        None, description="Endpoint that `adaptive-middleware serve` stands before; nothing else reads it."
    )
    policies: dict[Text, PolicyRule] = Field(
        default_factory=dict,
        description="Policies by name. The first one in file order whose `when` holds is used; `default` is "
        "for all other calls (absent: one plain call).",
    )
    mode: Mode = Field(
        "active",
        description="active: policies are in force. shadow: every call is one plain call, and what its policy would have "
        "drawn is only told to the observers.",
    )
    budget: Budget = Field(
        default_factory=Budget, description="Limits of each call, and how `budgets` are counted."
    )
    budgets: Annotated[tuple[CapRule, ...], Field(strict=False)] = Field(
        (), description="What calls may cost together: caps that hold for the calls of all policies."
    )
    trace: Trace | None = Field(
        None, description="Keep every answered call in one SQLite file; absent: nothing is kept."
    )
    opentelemetry: Telemetry | None = Field(
        None, description="Tell OpenTelemetry of every answered call: a span, metrics and scores."
    )
    observers: list[PythonObserver] = Field(
        default_factory=list, description="Your own observers: each is told of every call that was answered."
    )


class _EditorSchema(GenerateJsonSchema):
    """Draft 2020-12, where an optional key may be left out but not be null: as the reader has it."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration, for editors and for `jsonschema` checkers."""
    made = Settings.model_json_schema(schema_generator=_EditorSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
