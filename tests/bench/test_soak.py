from __future__ import annotations

from bench import soak


def test_every_call_ends_once_is_kept_and_holds_nothing() -> None:
    found = soak.measured(seconds=2, rate=40)
    ends = [found.get(name, 0) for name in ("answered", "degraded", "failed", "left")]
    assert all(isinstance(each, int) and each > 0 for each in ends[:1])
    assert sum(each for each in ends if isinstance(each, int)) == found["calls"]
    assert found["held_at_the_end"] == found["not_kept"] == 0
    assert found["kept"] == found["calls"]
