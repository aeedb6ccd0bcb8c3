"""What a proxy counts, for Prometheus; each proxy has a registry of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from adaptive_middleware.report import fixed_cost
from adaptive_middleware.types import Outcome, Request

_PREFIX, _CAUSE = "adaptive_proxy_", 40
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

_PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of one proxy; `seconds` is the time to the head of a reply, `in_flight` requests without one yet."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    in_flight: Gauge
    gone: Counter
    calls: Counter
    samples: Counter
    tokens: Counter
    degraded: Counter
    reloads: Counter
    fixed: Counter
    usd: Counter
    probability: Histogram
    shadows: Counter
    shadow_samples: Counter

    def ended(self, _request: Request, outcome: Outcome, _seconds: float) -> None:
        """Count a decision in shadow, which is made after its call was answered (see `ports.Observer`)."""
        if outcome.shadow is not None:
            self.shadows.labels(outcome.rule).inc()
            self.shadow_samples.labels(outcome.rule).inc(outcome.shadow)

    def called(self, outcome: Outcome) -> None:
        """Count a call that was answered adaptively."""
        rule = outcome.rule
        self.calls.labels(rule).inc()
        self.samples.labels(rule).inc(
            len(outcome.considered) + len(outcome.dropped) + len(outcome.failed) or 1
        )
        self.tokens.labels(rule, "prompt").inc(outcome.usage.prompt_tokens)
        self.tokens.labels(rule, "completion").inc(outcome.usage.completion_tokens)
        self.tokens.labels(rule, "prm").inc(outcome.usage.prm_tokens)
        for cause in {cause_of(said) for said in outcome.degraded}:
            self.degraded.labels(rule, cause).inc()
        self.fixed.labels(rule).inc(fixed_cost(outcome) or outcome.usage.completion_tokens)
        self.usd.labels(rule).inc(max(outcome.usage.usd or 0.0, 0.0))
        if outcome.choice is not None and outcome.choice.probability is not None:
            self.probability.labels(rule).observe(outcome.choice.probability)


def cause_of(said: str) -> str:
    """The kind of a cause, for a label: an error's class where it is named, else the words before the first colon.

    >>> cause_of("scores rejected: ScorerTimeout: no score within 5.00 s"), cause_of("sample failed: HTTP 500: no")
    ('ScorerTimeout', 'sample failed')
    """
    parts = [part.strip() for part in said.split(": ")]
    named = (part for part in parts[:-1][:2] if part.isidentifier() and part[0].isupper())
    return next(named, parts[0])[:_CAUSE]


def metrics() -> Metrics:
    """New counters."""
    registry = CollectorRegistry(auto_describe=False)

    def counter(name: str, about: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, about, labels, registry=registry)

    def histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, about, labels, registry=registry, buckets=buckets)

    return Metrics(
        registry,
        counter("requests", "Requests by HTTP status.", "status"),
        histogram("reply_seconds", "Time to the head of a reply.", _SECONDS),
        Gauge(f"{_PREFIX}in_flight", "Requests whose reply has not begun.", registry=registry),
        counter("disconnects", "Requests whose client left before the reply began."),
        counter("calls", "Calls that a policy answered.", "policy"),
        counter("samples", "Answers drawn for them, failed and dropped ones included.", "policy"),
        counter("tokens", "Tokens spent on them.", "policy", "kind"),
        counter("degraded", "Calls that got less than their policy asked for, by cause.", "policy", "cause"),
        counter("reloads", "Changes of the configuration file.", "result"),
        counter("fixed_n_tokens", "Completion tokens that always drawing max_samples would have cost.", "policy"),
        counter("usd", "Cost of samples in dollars, where a price is known.", "policy"),
        histogram("probability", "Probability that the returned answer is right.", _PROBABILITIES, "policy"),
        counter("shadow_calls", "Calls that a policy in shadow decided about.", "policy"),
        counter("shadow_samples", "Samples that it would have drawn for them at least.", "policy"),
    )  # fmt: skip
