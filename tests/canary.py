"""A canary: a secret that is in the environment of every test, and in a copy of every call, and must come out nowhere.

A pytest plugin for the whole suite. Every call that any test's observers are told of is told again, to nobody, as a copy with the
canary in each of its texts: what a store would keep of that at every level, and what OpenTelemetry would be told, must not
have it. Log records and the files that a test leaves must not have it, either. The test during which it came out fails.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from pathlib import Path as File
from typing import Any, TypeVar, get_args

import pytest

from adaptive_middleware.observing import Observed
from adaptive_middleware.trace.keeping import Keeping
from adaptive_middleware.trace.row import Ended, row_of
from adaptive_middleware.trace.settings import Level
from adaptive_middleware.types import Outcome, Request, Unanswered

NAME = "ADAPTIVE_CANARY_API_KEY"
LARGEST = 50_000_000
T = TypeVar("T")


def planted(value: T, canary: str) -> T:
    """A copy with the canary in every text: of dataclasses, mappings and sequences, as deep as they go; ids stay."""
    made: Any = value
    if isinstance(value, str):
        made = f"{value} {canary}"
    elif is_dataclass(value) and not isinstance(value, type):
        mine = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in _LEFT}
        made = replace(value, **{name: planted(each, canary) for name, each in mine.items()})
    elif isinstance(value, dict):
        made = {planted(name, canary): planted(each, canary) for name, each in value.items()}
    elif isinstance(value, (list, tuple, frozenset)):
        made = type(value)(planted(each, canary) for each in value)
    again: T = made
    return again


_LEFT = {"id", "raw", "say", "parameters", "messages", "tools", "kind"}
"""What no sink looks into: ids, and the frameworks' own objects."""


class Canary:
    """Where the canary came out, in words; made when it is in the environment."""

    def __init__(self, secret: str) -> None:
        self.secret, self.found = secret, list[str]()
        self._telemetry = _telemetry()

    def ended(self, request: Request, outcome: Outcome | Unanswered) -> None:
        """Tell of a call again, with the canary in it."""
        request, outcome = planted(request, self.secret), planted(outcome, self.secret)
        for level in get_args(Level):
            call = (
                Ended(request, outcome, 0.1, 1.0)
                if isinstance(outcome, Outcome)
                else Ended.without_answer(request, outcome, 0.1, 1.0)
            )
            self.look(f"a row at level {level}", str(row_of(call, Keeping.of(level))))
        if self._telemetry is not None:
            for told in self._telemetry(request, outcome):
                self.look("OpenTelemetry", told)

    def look(self, where: str, text: str) -> None:
        """Note it where a text has the canary."""
        if self.secret in text:
            at = text.index(self.secret)
            self.found.append(f"{where}: ..{text[max(at - 60, 0) : at]}<canary>")

    def look_into(self, folder: File) -> None:
        """Look into the files of a folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST:
                self.look(f"the file {file.name}", file.read_bytes().decode("latin-1"))


def _telemetry() -> Callable[[Request, Outcome | Unanswered], Iterator[str]] | None:
    """What OpenTelemetry is told of a call, as texts; None where its SDK is not installed."""
    try:
        from opentelemetry.sdk import metrics, trace  # noqa: PLC0415 - an extra
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk._logs.export import (  # noqa: PLC0415 - as above
            InMemoryLogRecordExporter,
            SimpleLogRecordProcessor,
        )
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415 - as above
            InMemorySpanExporter,
        )
    except ImportError:
        return None
    from adaptive_middleware.otel.telemetry import OpenTelemetry  # noqa: PLC0415 - as above

    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()  # type: ignore[no-untyped-call]
    tracers, loggers = trace.TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = metrics.MeterProvider([reader], shutdown_on_exit=False)
    telemetry = OpenTelemetry("x", tracer_provider=tracers, meter_provider=meters, logger_provider=loggers)

    def told(request: Request, call: Outcome | Unanswered) -> Iterator[str]:
        if isinstance(call, Outcome):
            telemetry.ended(request, call, 0.1)
        else:
            telemetry.unanswered(request, call, 0.1)
        yield from (span.to_json() for span in spans.get_finished_spans())
        yield from (str(one.log_record.attributes) for one in logs.get_finished_logs())
        yield str(reader.get_metrics_data())
        spans.clear()
        logs.clear()

    return told


class Records(logging.Handler):
    """Looks at every log record of our own packages, as it would be written."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.DEBUG)
        self.canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.canary.look(f"the log {record.name}", self.format(record))


def watch(canary: Canary, patches: pytest.MonkeyPatch) -> None:
    """Have the canary told of every call that observers are told of, and of every log record."""
    ended, unanswered = Observed.ended, Observed.unanswered

    @wraps(ended)
    def answered(self: Observed, request: Request, outcome: Outcome, seconds: float) -> Outcome:
        canary.ended(request, outcome)
        return ended(self, request, outcome, seconds)

    @wraps(unanswered)
    def failed(self: Observed, request: Request, call: Unanswered, seconds: float) -> None:
        canary.ended(request, call)
        unanswered(self, request, call, seconds)

    patches.setattr(Observed, "ended", answered)
    patches.setattr(Observed, "unanswered", failed)
    for name in ("adaptive_middleware", "langchain_adaptive", "llama_index_adaptive"):
        logging.getLogger(name).addHandler(Records(canary))


class Plugin:
    """The canary of one session."""

    def __init__(self) -> None:
        self._patches, secret = pytest.MonkeyPatch(), f"canary-{secrets.token_hex(12)}"
        self._patches.setenv(NAME, secret)
        self.canary = Canary(secret)
        watch(self.canary, self._patches)

    @pytest.fixture(autouse=True)
    def no_canary_came_out(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """After each test: nothing it did let the canary out."""
        yield
        folder = request.node.funcargs.get("tmp_path") if hasattr(request.node, "funcargs") else None
        if folder is not None:
            self.canary.look_into(folder)
        found, self.canary.found = self.canary.found, []
        assert found == [], f"the secret of {NAME} came out"

    def pytest_unconfigure(self) -> None:
        """Leave the process as it was."""
        self._patches.undo()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with the session; once, also where several conftest files ask for it."""
    if not config.pluginmanager.has_plugin("adaptive-canary"):
        config.pluginmanager.register(Plugin(), "adaptive-canary")
