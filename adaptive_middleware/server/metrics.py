"""What a server counts, for Prometheus; each server has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adaptive_middleware.scoring.device import Stats

_PREFIX = "adaptive_prm_"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of one server; `held` are rows that were accepted and not yet answered."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    rows: Counter
    held: Gauge


def metrics(stats: Callable[[], Stats]) -> Metrics:
    """New counters, and those of the engine as `stats` gives them at each look."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Engine(stats))
    return Metrics(
        registry,
        Counter(f"{_PREFIX}requests", "Pooling requests by HTTP status.", ["status"], registry=registry),
        Histogram(
            f"{_PREFIX}request_seconds",
            "Time to answer a pooling request.",
            registry=registry,
            buckets=_SECONDS,
        ),
        Counter(f"{_PREFIX}rows", "Sequences scored.", registry=registry),
        Gauge(f"{_PREFIX}held_rows", "Sequences accepted and not yet answered.", registry=registry),
    )


@dataclass(frozen=True, slots=True)
class _Engine(Collector):
    """The engine's own counters, read when somebody looks."""

    stats: Callable[[], Stats]

    def collect(self) -> Iterator[Metric]:
        now = self.stats()
        counters = {
            "computed_tokens": ("Tokens that the model computed.", now.computed_tokens),
            "reused_tokens": ("Tokens whose keys and values were still there.", now.reused_tokens),
            "packs": ("Forward passes.", now.packs),
            "evictions": ("Prefixes forgotten for want of memory.", now.evictions),
            "oom_retries": ("Packs halved because the device ran out of memory.", now.oom_retries),
        }
        for name, (about, value) in counters.items():
            yield CounterMetricFamily(_PREFIX + name, about, value=value)
        yield GaugeMetricFamily(_PREFIX + "queued_rows", "Sequences not yet begun.", value=now.queued_rows)
        yield GaugeMetricFamily(_PREFIX + "kv_bytes", "Memory of keys and values kept.", value=now.kv_bytes)
