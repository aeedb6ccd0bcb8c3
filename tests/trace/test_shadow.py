"""A call in shadow is kept with its decision, and explained like any other."""

from __future__ import annotations

from pathlib import Path as File

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.reading import one
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM, calibrate, judged


def test_a_decision_in_shadow_is_kept_and_explained(tmp_path: File) -> None:
    sink = TraceSink(TraceSettings(tmp_path / "t.db"))
    rule = Rule("code", best_of_n(fixed(3), calibrate=calibrate), shadow=True)
    made = Middleware(rules=[rule], scorer=TableScorer(judged), observers=[sink])
    assert made.run(SUM, ScriptedSampler(["4"])).chosen.text == "4"
    assert made._now.shadowing is not None
    made._now.shadowing.wait()
    sink.flush()
    sink.close()
    call = one(tmp_path / "t.db", "last")
    assert call.report is not None
    assert (call.report["shadow"], call.rule, call.samples, call.p) == (3, "code", 1, 0.97)
    told = explanation(call)
    assert told["decisions"][-1]["because"] == "shadow: at least 3 samples would have been drawn"
    assert told["samples"][0]["steps"] == ["4"]
