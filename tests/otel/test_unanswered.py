"""What OpenTelemetry gets of calls without an answer, and of streams: spans that begin when the call did."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from adaptive_middleware import Middleware, Request
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.otel.telemetry import OpenTelemetry
from adaptive_middleware.strategies.shadow import as_it_comes
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.types import Path

PRIVATE = "the text of nobody's business"
REQUEST = Request(PRIVATE, model="m")
CALL = "adaptive_middleware.call"


class Seen:
    def __init__(self) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        telemetry = OpenTelemetry("openai", tracer_provider=self.tracers, meter_provider=self.meters)
        self.made = Middleware(as_it_comes, observers=[telemetry])

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[Any]:
        data: Any = self.reader.get_metrics_data()
        found = [
            one for each in data.resource_metrics for scope in each.scope_metrics for one in scope.metrics
        ]
        return [point for one in found if one.name == name for point in one.data.data_points]


def left(seen: Seen) -> None:
    streaming = seen.made.stream(REQUEST, ScriptedSampler(["4"]), streamer=ScriptedStreamer(["one\n\ntwo"]))
    assert isinstance(next(streaming), Path)
    time.sleep(0.02)
    streaming.close()  # type: ignore[attr-defined]


def test_a_stream_that_nobody_reads_on_is_a_span_with_an_error_and_its_cost() -> None:
    seen = Seen()
    left(seen)
    (span,) = seen.named(CALL)
    told = span.attributes
    assert (told["error.type"], told["adaptive_middleware.unanswered"]) == ("GeneratorExit", "cancelled")
    assert (told["gen_ai.request.model"], told["adaptive_middleware.samples"]) == ("m", 1)
    assert told["gen_ai.usage.output_tokens"] > 0
    assert span.status.status_code is StatusCode.ERROR
    (sample,) = seen.named("chat m")
    assert sample.parent.span_id == span.context.span_id
    (point,) = seen.points("gen_ai.client.inference.usage.output_tokens")
    assert point.value == told["gen_ai.usage.output_tokens"]
    assert PRIVATE not in span.to_json()


def test_the_span_of_a_stream_begins_when_the_call_did() -> None:
    seen, began = Seen(), time.time_ns()
    left(seen)
    (span,) = seen.named(CALL)
    assert began - 1_000_000 <= span.start_time <= span.end_time - 20_000_000


def test_a_failed_call_tells_its_policy_its_code_and_none_of_its_words() -> None:
    seen = Seen()
    with pytest.raises(SamplerError):
        seen.made.run(REQUEST, ScriptedSampler([SamplerError(PRIVATE)]))
    (span,) = seen.named(CALL)
    assert span.attributes["adaptive_middleware.unanswered"] == "failed: AMW-E300"
    assert PRIVATE not in span.to_json()
    assert seen.named("chat m") == [], "no answer came"
    (point,) = seen.points("adaptive_middleware.call.duration")
    assert (point.count, point.attributes["error.type"]) == (1, "SamplerError")
    assert point.attributes["adaptive_middleware.policy"] == "default"
