"""The observer that tells OpenTelemetry of calls: a span for each, its samples and scores, and metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from opentelemetry import _logs, metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from adaptive_middleware.otel.names import (
    CALL,
    EVALUATION,
    OWN,
    SHADOW,
    Attributes,
    Value,
    answered,
    asked,
    causes,
    dimensions,
    evaluations,
    of_sample,
    samples_of,
    without_answer,
)
from adaptive_middleware.redaction import Redaction
from adaptive_middleware.types import Outcome, Path, Request, Unanswered, Usage

_OPEN: ContextVar[tuple[Request, Span] | None] = ContextVar("adaptive_middleware_call", default=None)
_NANO = 1_000_000_000


class OpenTelemetry:
    """Tells OpenTelemetry of calls, through the providers that the process has set (see docs/operations.md).

    While a call is answered its span `adaptive_middleware.call` is the current one, so that spans of the
    provider's SDK become its children. A streamed call, and one that ends without an answer, is told when it ends, with a span that begins when
    the call did: it is current for nobody, because what its reader does between two pieces is no part of the call. `samples` adds a span `chat MODEL` and the
    `gen_ai.*` metrics for each sample: switch it off where the SDK is instrumented. `provider` is
    `gen_ai.provider.name`. Texts are never told. The three `*_provider` default to the global ones.
    """

    def __init__(
        self,
        provider: str = "_OTHER",
        *,
        samples: bool = True,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: _logs.LoggerProvider | None = None,
    ) -> None:
        self.provider, self.samples = provider, samples
        self._tracer = trace.get_tracer(OWN, tracer_provider=tracer_provider)
        self._logger = _logs.get_logger(OWN, logger_provider=logger_provider)
        self._redacted = lru_cache(4096)(Redaction.of())  # names come again with every call
        self._measure = Instruments(metrics.get_meter(OWN, meter_provider=meter_provider))

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.provider, self.samples)

    @contextmanager
    def around(self, request: Request) -> Iterator[None]:
        """The call's span, current while the call is answered."""
        attributes = self._safe(asked(request, self.provider))
        with self._tracer.start_as_current_span(
            CALL, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            token = _OPEN.set((request, span))
            try:
                yield
            finally:
                _OPEN.reset(token)

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """Tell of a call that was answered."""
        now = time.time_ns()
        opened = _OPEN.get()
        if opened is not None and opened[0] is request:
            span = opened[1]
            span.set_attributes(self._safe(answered(outcome)))
            self._children(span, request, outcome, now, seconds)
        else:
            self._afterwards(request, outcome, now, seconds)
        told = self._safe(dimensions(request, outcome.rule, self.provider))
        why = [self._redacted(cause) for cause in causes(outcome)]
        self._measure.add(told, outcome, why, seconds, samples=self.samples)

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        """Tell of a call that failed, was cancelled, or whose stream nobody read on, with what it had cost."""
        now, opened = time.time_ns(), _OPEN.get()
        mine = opened is not None and opened[0] is request
        span = opened[1] if opened is not None and mine else self._begun(CALL, request, now, seconds)
        span.set_attributes(self._safe(without_answer(call)))
        span.set_status(Status(StatusCode.ERROR, self._redacted(call.error)))
        self._spans_of(span, request, call.drawn, now, seconds)
        if not mine:
            span.end(now)
        told = self._safe(dimensions(request, call.rule, self.provider))
        why = self._safe({"error.type": call.error})
        self._measure.failed(told, why, call.usage, seconds, samples=self.samples)

    def _begun(self, name: str, request: Request, now: int, seconds: float) -> Span:
        """A span that began `seconds` before `now`."""
        return self._tracer.start_span(
            name, attributes=self._safe(asked(request, self.provider)), start_time=now - int(seconds * _NANO)
        )

    def _afterwards(self, request: Request, outcome: Outcome, now: int, seconds: float) -> None:
        """A span of its own for a call whose span was not open: a streamed one, or a decision in shadow."""
        shadow = outcome.shadow is not None
        lasted = 0.0 if shadow else seconds
        span = self._begun(SHADOW if shadow else CALL, request, now, lasted)
        span.set_attributes(self._safe(answered(outcome)))
        self._children(span, request, outcome, now, lasted)
        span.end(now)

    def _children(self, span: Span, request: Request, outcome: Outcome, now: int, seconds: float) -> None:
        context = set_span_in_context(span)
        for attributes in evaluations(outcome):
            self._logger.emit(
                timestamp=now, context=context, event_name=EVALUATION, attributes=self._safe(attributes)
            )
        drawn = [one.path for one in (*outcome.considered, *outcome.dropped)] + list(outcome.failed)
        self._spans_of(span, request, drawn or [outcome.chosen], now, seconds)

    def _spans_of(
        self, span: Span, request: Request, drawn: Sequence[Path], now: int, seconds: float
    ) -> None:
        """A span for each sample, where they are told of."""
        context = set_span_in_context(span)
        name = self._redacted(f"chat {request.model or ''}".rstrip())
        common = asked(request, self.provider)
        for path in drawn if self.samples else ():
            began = now - int(seconds * _NANO)
            child = self._tracer.start_span(
                name,
                context,
                SpanKind.CLIENT,
                attributes=self._safe({**common, **of_sample(path)}),
                start_time=began,
            )
            if path.error is not None:
                child.set_status(Status(StatusCode.ERROR))
            child.end(now)

    def _safe(self, attributes: Attributes) -> dict[str, Value]:
        """The attributes without credentials, whoever put them into a name or a cause."""
        return {name: self._value(value) for name, value in attributes.items()}

    def _value(self, value: Value) -> Value:
        if isinstance(value, str):
            return self._redacted(value)
        if isinstance(value, (list, tuple)):
            return [self._redacted(one) if isinstance(one, str) else one for one in value]
        return value


class Instruments:
    """The metrics of calls."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._seconds = meter.create_histogram(f"{OWN}.call.duration", "s", "Time from a call to its answer.")
        self._samples = meter.create_histogram(f"{OWN}.call.samples", "{sample}", "Samples drawn for a call.")
        self._p = meter.create_histogram(
            f"{OWN}.call.probability", "1", "Probability that the returned answer is right."
        )
        self._degraded = meter.create_counter(
            f"{OWN}.call.degraded", "{call}", "Calls that got less than asked for."
        )
        self._prm = meter.create_counter(
            f"{OWN}.usage.prm_tokens", "{token}", "Tokens of the process reward model."
        )
        self._usd = meter.create_counter(f"{OWN}.usage.usd", "{USD}", "Cost, where a price is known.")
        usage = "gen_ai.client.inference.usage"
        self._input = meter.create_counter(f"{usage}.input_tokens", "{token}", "Input tokens.")
        self._output = meter.create_counter(f"{usage}.output_tokens", "{token}", "Output tokens.")
        self._cached = meter.create_counter(
            f"{usage}.cache_read.input_tokens", "{token}", "Cached input tokens."
        )

    def add(
        self, told: Attributes, outcome: Outcome, why: Sequence[str], seconds: float, *, samples: bool
    ) -> None:
        """Measure a call that was answered; `told` are the attributes of every metric, `why` the causes of degradation."""
        self._seconds.record(seconds, told)
        self._samples.record(max(samples_of(outcome), 1), told)
        if outcome.choice is not None and outcome.choice.probability is not None:
            self._p.record(outcome.choice.probability, told)
        for cause in why:
            self._degraded.add(1, {**told, "error.type": cause})
        self._cost(outcome.usage, told, samples=samples)

    def failed(
        self, told: Attributes, why: Attributes, usage: Usage, seconds: float, *, samples: bool
    ) -> None:
        """Measure a call without an answer: how long it took, and what it cost."""
        self._seconds.record(seconds, {**told, **why})
        self._cost(usage, told, samples=samples)

    def _cost(self, usage: Usage, told: Attributes, *, samples: bool) -> None:
        self._prm.add(usage.prm_tokens, told)
        if usage.usd is not None and usage.usd > 0:
            self._usd.add(usage.usd, told)
        if samples:
            self._input.add(usage.prompt_tokens, told)
            self._output.add(usage.completion_tokens, told)
            self._cached.add(usage.cached_tokens, told)


def _again(provider: str, samples: bool) -> OpenTelemetry:
    """A pickled observer, made again with the providers of the process that reads it."""
    return OpenTelemetry(provider, samples=samples)
