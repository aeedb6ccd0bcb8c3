"""Who is told of answered calls, as a configuration names them: a store, and observers of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from adaptive_middleware.config.factory import made
from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Model, Target, Text
from adaptive_middleware.ports import Observer
from adaptive_middleware.trace.settings import Level, TraceSettings, default_place

if TYPE_CHECKING:
    from adaptive_middleware.config.given import Given


class Trace(Model):
    """The store of answered calls."""

    path: Text | None = Field(
        None,
        description="SQLite file, relative to this file; absent: adaptive-middleware/traces.db in the user's state folder.",
    )
    level: Level = Field(
        "redacted",
        description="What is kept of texts: none, hash, redacted (without personal data), or full. Credentials never are.",
    )
    retention_days: Annotated[float, Field(gt=0, le=36_525)] = Field(
        90.0, description="Days after which a call is deleted."
    )
    max_mb: Annotated[float, Field(ge=1, le=1_000_000)] = Field(
        1000.0, description="Megabytes above which the oldest calls are deleted."
    )
    queue: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000, description="Most calls that wait to be written; what comes on top is counted and not kept."
    )


class Telemetry(Model):
    """What OpenTelemetry is told of calls."""

    provider: Text = Field(
        "_OTHER", description="Name of the wrapped model's provider (gen_ai.provider.name), such as openai."
    )
    samples: bool = Field(
        True,
        description="A span and token counts for each sample, too; false where the provider's SDK tells them itself.",
    )


class PythonObserver(Model):
    """Your own observer: an object with the method `ended(request, outcome, seconds)`."""

    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


def observers_of(config: Given) -> tuple[Observer, ...]:
    """The observers that a configuration names: the store of calls, then OpenTelemetry, then your own in their order.

    Raises `ConfigError` with the place of one that cannot be made.
    """
    own = tuple(
        made(config.document, ("observers", index), each.target, each.args, "ended")
        for index, each in enumerate(config.settings.observers)
    )
    trace, told = config.settings.trace, config.settings.opentelemetry
    return (
        *(() if trace is None else (_sink(config, trace),)),
        *(() if told is None else (_telemetry(config, told),)),
        *own,
    )


def _sink(config: Given, trace: Trace) -> Observer:
    from adaptive_middleware.trace.sink import TraceSink  # noqa: PLC0415 - loads sqlite3

    path = default_place() if trace.path is None else config.resolved(trace.path).absolute()
    settings = TraceSettings(path, trace.level, trace.retention_days, trace.max_mb, trace.queue)
    return TraceSink(settings)


def _telemetry(config: Given, told: Telemetry) -> Observer:
    try:
        from adaptive_middleware.otel.telemetry import OpenTelemetry  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        message = f"opentelemetry needs {error.name}: pip install 'adaptive-middleware[otel]'"
        raise config.refused(("opentelemetry",), message) from error
    return OpenTelemetry(told.provider, samples=told.samples)
