"""A configuration names observers, and its middleware tells them."""

from __future__ import annotations

import pytest

from adaptive_middleware import Middleware, Request
from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.proxy.policies import named
from adaptive_middleware.testing import ScriptedSampler
from tests.config.parts import Observations

NAMED = {
    "version": 1,
    "observers": [{"target": "tests.config.parts:Observations", "args": {"label": name}} for name in "ab"],
}


def test_the_observers_of_a_configuration_are_made_in_its_order_and_told() -> None:
    Observations.told.clear()
    outcome = Middleware.from_config(NAMED).run(Request("?"), ScriptedSampler(["4"]))
    assert Observations.told == [("a", outcome.id), ("b", outcome.id)]


def test_the_proxy_tells_them_too() -> None:
    Observations.told.clear()
    Middleware.of(named(load(NAMED).build())).run(Request("?"), ScriptedSampler(["4"]))
    assert [label for label, _ in Observations.told] == ["a", "b"]


def test_an_observer_that_cannot_be_told_is_refused_by_its_place() -> None:
    document = {"version": 1, "observers": [{"target": "tests.config.parts:Scores"}]}
    with pytest.raises(ConfigError, match=r"observers\[0\]\.target .* an object with the method 'ended'"):
        load(document).build()
