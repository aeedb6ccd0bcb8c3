"""What OpenTelemetry gets of calls: one span each with the samples under it, scores as events, metrics, and no texts."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.otel.telemetry import OpenTelemetry
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Outcome, Path, Verdict

PRIVATE = "the text of nobody's business"
REQUEST = Request(PRIVATE, model="m", parameters={"temperature": 0.5, "max_tokens": 10, "seed": True})
RULE = Rule("code", best_of_n(fixed(2), max_samples=4))


@dataclass
class Seen:
    """Providers that keep what they get in memory."""

    spans: InMemorySpanExporter
    logs: InMemoryLogRecordExporter
    metrics: InMemoryMetricReader
    tracers: TracerProvider
    telemetry: OpenTelemetry

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [dict(one.log_record.attributes or {}) for one in self.logs.get_finished_logs()]

    def points(self, name: str) -> list[Any]:
        data: Any = self.metrics.get_metrics_data()
        found = [
            one
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for one in scope.metrics
        ]
        return [point for one in found if one.name == name for point in one.data.data_points]

    def everything(self) -> str:
        told = [span.to_json() for span in self.spans.get_finished_spans()]
        told += [
            str(one.log_record.attributes) + str(one.log_record.body) for one in self.logs.get_finished_logs()
        ]
        return json.dumps(told)


@pytest.fixture
def seen() -> Iterator[Seen]:
    make: Any = InMemoryLogRecordExporter  # it has no types
    spans, logs, reader = InMemorySpanExporter(), make(), InMemoryMetricReader()
    tracers, loggers, meters = TracerProvider(), LoggerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    telemetry = OpenTelemetry(
        "openai", tracer_provider=tracers, meter_provider=meters, logger_provider=loggers
    )
    yield Seen(spans, logs, reader, tracers, telemetry)
    for each in (tracers, loggers, meters):
        each.shutdown()


def middleware(seen: Seen, rule: Rule = RULE, **ports: Any) -> Middleware:
    return Middleware(rules=[rule], scorer=TableScorer(0.5), observers=[seen.telemetry], **ports)


def two() -> ScriptedSampler:
    return ScriptedSampler([answer("It is 4.", tokens=7), answer("It is 5.", tokens=9)])


@pytest.mark.parametrize("mode", ["sync", "async", "stream", "astream"])
async def test_a_call_is_a_span_with_its_samples_under_it_and_under_its_caller(seen: Seen, mode: str) -> None:
    made = middleware(seen)
    with seen.tracers.get_tracer("test").start_as_current_span("agent") as agent:
        if mode == "sync":
            outcome: object = made.run(REQUEST, two())
        elif mode == "async":
            outcome = await made.arun(REQUEST, two())
        elif mode == "stream":
            *_, outcome = made.stream(REQUEST, two())
        else:
            outcome = [one async for one in made.astream(REQUEST, two())][-1]
    assert isinstance(outcome, Outcome)
    (call,) = seen.named("adaptive_middleware.call")
    assert call.parent.span_id == agent.get_span_context().span_id
    assert call.kind is SpanKind.INTERNAL
    told = dict(call.attributes)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.choice.count": 2,
        "gen_ai.usage.output_tokens": 16,
        "gen_ai.response.finish_reasons": ("stop",),
        "adaptive_middleware.call.id": outcome.id,
        "adaptive_middleware.policy": "code",
        "adaptive_middleware.samples": 2,
        "adaptive_middleware.max_samples": 4,
        "adaptive_middleware.probability": pytest.approx(0.5),
        "adaptive_middleware.calibrated": False,
        "adaptive_middleware.fixed_n.output_tokens": 32,
    }
    assert {name: told[name] for name in expected} == expected
    assert "gen_ai.request.seed" not in told
    samples = seen.named("chat m")
    assert [one.parent.span_id for one in samples] == [call.context.span_id] * 2
    assert [one.attributes["gen_ai.usage.output_tokens"] for one in samples] == [7, 9]
    assert {one.kind for one in samples} == {SpanKind.CLIENT}


class Passing:
    """A verifier that passes what says 4."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict("4" in path.text if "?" not in path.text else None, PRIVATE) for path in paths]


def test_scores_and_verdicts_are_evaluation_events_of_the_call(seen: Seen) -> None:
    rule = Rule("code", best_of_n(fixed(2), max_samples=4, verify=True))
    middleware(seen, rule, verifier=Passing()).run(REQUEST, ScriptedSampler(["It is 4.", "It is 5?"]))
    (call,) = seen.named("adaptive_middleware.call")
    records = [one.log_record for one in seen.logs.get_finished_logs()]
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    assert {record.span_id for record in records} == {call.context.span_id}
    scores = [event for event in seen.events if event["gen_ai.evaluation.name"] == "process_reward_model"]
    assert [event["gen_ai.evaluation.score.value"] for event in scores] == [pytest.approx(0.5)] * 2
    assert [event["adaptive_middleware.step_scores"] for event in scores] == [(0.5,)] * 2
    assert [event["adaptive_middleware.chosen"] for event in scores] == [True, False]
    assert {event["gen_ai.evaluation.score.label"] for event in scores} == {"raw"}
    (verdict,) = [event for event in seen.events if event["gen_ai.evaluation.name"] == "verifier"]
    assert (verdict["gen_ai.evaluation.score.value"], verdict["gen_ai.evaluation.score.label"]) == (
        1.0,
        "pass",
    )


def test_rejected_scores_say_so_without_a_value(seen: Seen) -> None:
    made = Middleware(rules=[RULE], scorer=TableScorer(7.0), observers=[seen.telemetry])
    made.run(REQUEST, two())
    assert [event["error.type"] for event in seen.events] == ["score 7.0 is not in [0, 1]"] * 2
    assert not [event for event in seen.events if "gen_ai.evaluation.score.value" in event]
    (call,) = seen.named("adaptive_middleware.call")
    assert call.attributes["adaptive_middleware.degraded"] == ("scores rejected",)
    assert "adaptive_middleware.probability" not in call.attributes


def test_votes_alone_are_no_evaluation(seen: Seen) -> None:
    Middleware(best_of_n(fixed(2), score=False), observers=[seen.telemetry]).run(REQUEST, two())
    assert seen.events == []


def test_metrics_add_up_over_calls(seen: Seen) -> None:
    made = middleware(seen)
    for _ in range(3):
        made.run(REQUEST, two())
    (seconds,), (samples,) = (
        seen.points("adaptive_middleware.call.duration"),
        seen.points("adaptive_middleware.call.samples"),
    )
    assert (seconds.count, samples.count, samples.sum) == (3, 3, 6)
    (output,) = seen.points("gen_ai.client.inference.usage.output_tokens")
    assert (output.value, output.attributes["adaptive_middleware.policy"]) == (48, "code")
    (p,) = seen.points("adaptive_middleware.call.probability")
    assert (p.count, p.sum) == (3, pytest.approx(1.5))
    assert seen.points("adaptive_middleware.call.degraded") == []


def test_without_samples_only_our_own_numbers_are_told(seen: Seen) -> None:
    seen.telemetry.samples = False
    middleware(seen).run(REQUEST, two())
    assert [span.name for span in seen.spans.get_finished_spans()] == ["adaptive_middleware.call"]
    assert seen.points("gen_ai.client.inference.usage.output_tokens") == []


class Spanning:
    """A sampler whose SDK is instrumented."""

    def __init__(self, tracers: TracerProvider) -> None:
        self.tracer = tracers.get_tracer("sdk")

    def sample(self, request: Request, n: int) -> list[Path]:
        with self.tracer.start_as_current_span("POST"):
            return [answer("4", tokens=1)] * n

    async def asample(self, request: Request, n: int) -> list[Path]:
        return self.sample(request, n)


async def test_spans_of_an_instrumented_sdk_are_children_of_the_call(seen: Seen) -> None:
    made = middleware(seen)
    made.run(REQUEST, Spanning(seen.tracers))
    await made.arun(REQUEST, Spanning(seen.tracers))
    calls = {span.context.span_id for span in seen.named("adaptive_middleware.call")}
    assert {span.parent.span_id for span in seen.named("POST")} == calls


async def test_a_call_that_fails_is_a_span_with_its_kind_of_error_and_nothing_open_is_left(
    seen: Seen,
) -> None:
    made = middleware(seen)
    with pytest.raises(SamplerError):
        made.run(REQUEST, ScriptedSampler([SamplerError(PRIVATE)]))
    with pytest.raises(SamplerError):
        await made.arun(REQUEST, ScriptedSampler([SamplerError(PRIVATE)]))
    spans = seen.named("adaptive_middleware.call")
    assert [(span.attributes["error.type"], span.status.status_code) for span in spans] == [
        ("SamplerError", StatusCode.ERROR)
    ] * 2
    assert sum(point.count for point in seen.points("adaptive_middleware.call.duration")) == 2
    assert not trace.get_current_span().get_span_context().is_valid


def test_failed_samples_are_spans_with_errors(seen: Seen) -> None:
    middleware(seen).run(
        REQUEST,
        ScriptedSampler([Path(error=f"Timeout: {PRIVATE}"), answer("4", tokens=1), answer("4", tokens=1)]),
    )
    errors = [span.attributes.get("error.type") for span in seen.named("chat m")]
    assert sorted(errors, key=str) == [None, None, "Timeout"]


def test_texts_are_never_told(seen: Seen) -> None:
    made = middleware(seen, Rule("code", best_of_n(fixed(2), verify=True)), verifier=Passing())
    made.run(REQUEST, ScriptedSampler([answer(PRIVATE), Path(error=f"x: {PRIVATE}"), answer("It is 4.")]))
    told = seen.everything()
    assert "adaptive_middleware" in told
    assert PRIVATE not in told
    assert "It is" not in told


def test_a_decision_in_shadow_is_a_span_in_the_trace_of_its_call(seen: Seen) -> None:
    made = middleware(seen, Rule("code", best_of_n(fixed(3)), shadow=True))
    with seen.tracers.get_tracer("test").start_as_current_span("agent") as agent:
        made.run(REQUEST, ScriptedSampler(["4"]))
    waited(made)
    (decision,) = seen.named("adaptive_middleware.shadow")
    assert decision.attributes["adaptive_middleware.shadow"] == 3
    assert decision.context.trace_id == agent.get_span_context().trace_id
    assert sum(point.count for point in seen.points("adaptive_middleware.call.duration")) == 1


def test_what_passes_through_is_a_call_with_one_sample(seen: Seen) -> None:
    Middleware(observers=[seen.telemetry]).run(Request("Hi"), ScriptedSampler([answer("4", tokens=3)]))
    (call,), (sample,) = seen.named("adaptive_middleware.call"), seen.named("chat")
    assert call.attributes["adaptive_middleware.samples"] == 1
    assert sample.attributes["gen_ai.usage.output_tokens"] == 3


def test_money_is_counted_where_a_price_is_known(seen: Seen) -> None:
    outcome = Outcome(Path(("4",)))
    seen.telemetry.ended(REQUEST, replace(outcome, usage=replace(outcome.usage, usd=0.25)), 0.1)
    (usd,) = seen.points("adaptive_middleware.usage.usd")
    assert usd.value == pytest.approx(0.25)


def test_an_observer_made_again_from_bytes_tells_the_global_providers() -> None:
    again = pickle.loads(pickle.dumps(OpenTelemetry("openai", samples=False)))  # noqa: S301 - our own bytes
    assert (again.provider, again.samples) == ("openai", False)
    again.ended(REQUEST, Outcome(Path(("4",))), 0.1)


def waited(middleware: Middleware) -> None:
    assert middleware._now.shadowing is not None
    middleware._now.shadowing.wait()
