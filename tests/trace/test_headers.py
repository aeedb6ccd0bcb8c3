"""The id of a call that is kept is in the headers that clients get."""

from __future__ import annotations

from adaptive_middleware import Middleware
from adaptive_middleware.proxy.replies import told_in_headers
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.transport.result import adaptive_headers
from adaptive_middleware.types import Outcome
from tests.trace.made import SUM


class Nobody:
    def ended(self, request: object, outcome: Outcome, seconds: float) -> None:
        """Is only there."""


def test_the_headers_name_a_call_that_is_kept_and_no_other() -> None:
    kept = Middleware(observers=[Nobody()]).run(SUM, ScriptedSampler(["4"]))
    other = Middleware().run(SUM, ScriptedSampler(["4"]))
    assert ("x-adaptive-id", kept.id) in adaptive_headers(kept)
    assert (b"x-adaptive-id", str(kept.id).encode()) in told_in_headers(kept)
    assert "x-adaptive-id" not in dict(adaptive_headers(other))
    assert b"x-adaptive-id" not in dict(told_in_headers(other))
