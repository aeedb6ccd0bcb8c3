"""Schema version 1: every key that a configuration may hold, with its type, range, default and meaning.

The models are strict (no text for numbers, no booleans for numbers), frozen, and know no extra keys. The JSON
schema for editors is made from them, so a description here is what an editor shows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from adaptive_middleware.config.fields import (
    ARGS,
    TARGET,
    Arguments,
    Model,
    Samples,
    Seconds,
    Target,
    Text,
    Tokens,
)
from adaptive_middleware.config.prms import Prm
from adaptive_middleware.config.stopping import OptimalStoppingPolicy, StoppingPolicy

__all__ = [
    "BestOfN",
    "Budget",
    "Limits",
    "PassThrough",
    "PolicyRule",
    "PythonVerifier",
    "Settings",
    "StoppingPolicy",
    "Target",
    "Text",
    "When",
    "json_schema",
]


class PythonVerifier(Model):
    """Your own exact check: an object with the method `verify(request, paths)`."""

    kind: Literal["python"] = Field(description="A verifier made by your own factory.")
    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


class When(Model):
    """Which calls a policy is for: all given conditions must hold."""

    tags: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="Tags that the call must carry, every one of them."
    )
    model: Text | None = Field(None, description="Pattern of the wrapped model's name, such as 'o*'.")
    call_site: Text | None = Field(None, description="Pattern of the call site's name, such as 'planner.*'.")


class Limits(Model):
    """What one call may cost. A call over a limit returns the best answer it has."""

    tokens: Tokens | None = Field(None, description="Most completion tokens of all samples of one call.")
    seconds: Seconds | None = Field(None, description="Most wall-clock seconds from the start of the call.")


class Budget(Model):
    """Limits for every policy that does not set its own."""

    per_call: Limits = Field(default_factory=Limits, description="Limits of one call.")


class _AnyPolicy(Model):
    when: When | None = Field(
        None, description="Which calls this policy is for; every policy but `default` needs it."
    )
    budget: Limits = Field(
        default_factory=Limits, description="Limits of one call, in place of those of budget.per_call."
    )


class PassThrough(_AnyPolicy):
    """One plain call, exactly as without this middleware."""

    strategy: Literal["pass-through"] = Field(description="One plain call, unscored.")


class BestOfN(_AnyPolicy):
    """Several samples, as many as the policy asks for; the best one is returned."""

    strategy: Literal["best-of-n"] = Field(description="Draw samples while the policy asks; return the best.")
    policy: StoppingPolicy = Field(
        default_factory=lambda: OptimalStoppingPolicy(kind="optimal-stopping"),
        description="How many samples a call gets; optimal-stopping when absent.",
    )
    max_samples: Samples | None = Field(
        None, description="Most samples of one call; when absent, the policy's own n or cap, else 16."
    )
    select: Literal["argmax", "calibrated-vote", "majority"] = Field(
        "argmax",
        description="Which sample is returned: the highest calibrated probability, a vote weighted by it, or a "
        "plain vote. Verified samples win in all three; without scores all three are a plain vote.",
    )
    score_question: bool = Field(
        True, description="Score the question alone first, to know how hard it is before the first sample."
    )
    verifier: PythonVerifier | None = Field(None, description="Exact check of every sample.")


PolicyRule = Annotated[PassThrough | BestOfN, Field(discriminator="strategy")]


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
    policies: dict[Text, PolicyRule] = Field(
        default_factory=dict,
        description="Policies by name. The first one in file order whose `when` holds is used; `default` is "
        "for all other calls (absent: one plain call).",
    )
    budget: Budget = Field(default_factory=Budget, description="Limits of all calls.")


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
