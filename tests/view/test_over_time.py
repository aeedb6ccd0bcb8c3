"""Pictures over time: windows hold equally many judged calls, intervals are Wilson's, and slots count every call once."""

from __future__ import annotations

import pytest

from adaptive_middleware.view.calibration_section import calibration
from adaptive_middleware.view.drift import LEAST, WINDOWS, windows
from adaptive_middleware.view.figures import Figures, Judged, Line, Today
from adaptive_middleware.view.over_time import SLOTS, Slot, calls_over_time, drifting, slots


def judged(n: int, p: float = 0.8, every: int = 5) -> list[Judged]:
    """`n` calls a minute apart, the newest first; all but each fifth right."""
    return [Judged(60.0 * at, p, int(at % every > 0)) for at in reversed(range(n))]


def line(at: float, degraded: int = 0) -> Line:
    return Line("0123456789abcdef", at, 1.0, "r", None, None, None, 1, 1, 1, 1, None, degraded, None)


def test_windows_hold_all_judged_calls_in_order() -> None:
    found = windows(judged(247))
    assert len(found) == WINDOWS
    assert sum(one.n for one in found) == 247
    assert max(one.n for one in found) - min(one.n for one in found) <= 1
    assert [one.since for one in found] == sorted(one.since for one in found)
    assert (found[0].since, found[-1].until) == (0.0, 60.0 * 246)


@pytest.mark.parametrize(("n", "count"), [(0, 0), (19, 0), (20, 2), (39, 3), (5000, WINDOWS)])
def test_there_are_as_many_windows_as_have_enough_calls(n: int, count: int) -> None:
    assert len(windows(judged(n))) == count


def test_a_probability_outside_of_the_interval_is_told() -> None:
    assert [one.off for one in windows(judged(100, 0.8))] == [False] * 10
    found = windows(judged(100, 0.999))
    assert all(one.off for one in found)
    assert found[0].low == pytest.approx(0.4902, abs=1e-4)  # Wilson, 8 of 10
    assert found[0].high == pytest.approx(0.9433, abs=1e-4)


def test_each_window_is_drawn_with_its_numbers() -> None:
    drawn = drifting(windows(judged(100, 0.999)), "x")
    assert drawn.count("<circle") == drawn.count('class="square off"') == 10
    assert "1970-01-01 00:00 to 1970-01-01 00:09: p 0.999, right 8 of 10" in drawn


def test_slots_count_every_call_once() -> None:
    found = slots([line(100.0, 2), line(99.0), line(52.0), line(0.0, 1)])
    assert len(found) == SLOTS
    assert (sum(one.calls for one in found), sum(one.degraded for one in found)) == (4, 2)
    assert (found[0].calls, found[0].degraded, found[-1].calls) == (1, 1, 2)
    assert 'height="102.0"' in calls_over_time(found, "x")


def test_calls_of_one_moment_are_drawn() -> None:
    assert slots([line(5.0), line(5.0)])[0] == Slot(5.0, 2, 0)


def test_the_section_shows_drift_from_enough_calls_on() -> None:
    def page(n: int) -> str:
        return "".join(calibration(Figures(n, Today(0, 0, None), (), tuple(judged(n)))))

    assert "Nothing is known of right and wrong" in page(0)
    assert f"Drift is shown from {2 * LEAST} judged calls on." in page(2 * LEAST - 1)
    assert "outside of the interval in 0 of 10 windows" in page(100)
    assert "100 calls with a probability are known" in page(100)
    assert "0.490 to 0.943" in page(100)
