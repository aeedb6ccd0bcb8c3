"""What all policies of a configuration share: which calls they are for, what one call may cost, how answers are checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Model, Seconds, Target, Text, Tokens


class PythonVerifier(Model):
    """Your own exact check: an object with the method `verify(request, paths)`."""

    kind: Literal["python"] = Field(description="A verifier made by your own factory.")
    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


class ToolSchemaVerifier(Model):
    """Tool calls against the schemas of the request's tools: a call that cannot run never wins."""

    kind: Literal["tool-schema"] = Field(
        description="Check tool calls against the schemas of the tools that the request offers."
    )
    then: PythonVerifier | None = Field(
        None, description="Your own check of the answers that the schemas do not reject."
    )


class TaskTestsVerifier(Model):
    """The tests of the task that is being solved: for `adaptive-middleware solve`, which has them."""

    kind: Literal["task-tests"] = Field(
        description="Run every sample against its task's own tests; for `adaptive-middleware solve`."
    )


AnyVerifier = Annotated[PythonVerifier | ToolSchemaVerifier | TaskTestsVerifier, Field(discriminator="kind")]


Mode = Literal["active", "shadow"]


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


class AnyPolicy(Model):
    """What every policy has, whatever its strategy."""

    when: When | None = Field(
        None, description="Which calls this policy is for; every policy but `default` needs it."
    )
    budget: Limits = Field(
        default_factory=Limits, description="Limits of one call, in place of those of budget.per_call."
    )
    mode: Mode | None = Field(
        None, description="Whether this policy is in force, in place of the mode of all."
    )
    strategy: str = Field(description="How a call is answered.")
