"""`opentelemetry` in a configuration."""

from __future__ import annotations

import sys

import pytest

from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError

CONFIG = {"version": 1, "opentelemetry": {"provider": "openai", "samples": False}}


def test_an_observer_is_made_as_it_is_written() -> None:
    telemetry = pytest.importorskip("adaptive_middleware.otel.telemetry", exc_type=ImportError)
    (made,) = load(CONFIG).build().observers
    assert isinstance(made, telemetry.OpenTelemetry)
    assert (made.provider, made.samples) == ("openai", False)


def test_without_the_extra_it_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "adaptive_middleware.otel.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pip install 'adaptive-middleware\[otel\]'"):
        load(CONFIG).build()
