"""Which replica is asked, and when it is enough: with a scripted clock, without HTTP."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState, Retrying

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.replicas import Broken, Lost, Turn, Unavailable, ranked

URLS = ["http://a", "http://b", "http://c"]
urls = st.lists(st.integers(0, 99).map("http://r{}".format), min_size=1, max_size=8, unique=True)


@given(urls, st.text(), st.data())
def test_when_a_replica_is_taken_away_only_its_own_texts_move(
    urls: list[str], text: str, data: st.DataObject
) -> None:
    order = ranked(urls, text)
    assert sorted(order) == sorted(urls)
    gone = data.draw(st.sampled_from(urls))
    assert ranked([url for url in urls if url != gone], text) == [url for url in order if url != gone]
    assert ranked(urls[::-1], text) == order


def test_texts_spread_over_all_replicas() -> None:
    counts = Counter(ranked(URLS, f"question {number}")[0] for number in range(600))
    assert min(counts[url] for url in URLS) > 150


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def turn(clock: Clock, *, deadline: float | None = None, order: list[str] = URLS) -> Turn:
    breakers = {url: Breaker(failures=3, seconds=10.0, clock=clock) for url in order}
    return Turn(order, breakers, timeout=8.0, deadline=deadline, clock=clock)


def state(error: Exception) -> RetryCallState:
    found = RetryCallState(Retrying(), None, (), {})
    found.set_exception((type(error), error, None))
    return found


def fail(one: Turn, error: Exception) -> str:
    url, seconds = one.next()
    with pytest.raises(Unavailable), one.asking(url, seconds):
        raise error
    return url


def test_each_is_asked_in_order_and_twice_at_most() -> None:
    one = turn(Clock())
    asked = []
    for number in range(6):
        asked.append(fail(one, Unavailable("busy", 5.0)))
        waits = one.wait(state(Unavailable("busy", 5.0)))
        assert waits == (5.0 if number % 3 == 2 else 0.0)
        assert one.enough(state(Unavailable("busy"))) is (number == 5)
    assert asked == [*URLS, *URLS]


def test_a_replica_that_sent_no_reply_is_not_asked_again() -> None:
    one = turn(Clock())
    assert fail(one, Broken("HTML")) == "http://a"
    assert [fail(one, Unavailable("busy")) for _ in range(4)] == URLS[1:] * 2
    last = turn(Clock(), order=URLS[:1])
    fail(last, Broken("HTML"))
    assert last.enough(state(Broken("HTML")))


def test_three_failures_in_a_row_leave_a_replica_alone_until_its_trial() -> None:
    clock = Clock()
    one = turn(clock, order=URLS[:1])
    for _ in range(3):
        fail(one, Lost("refused"))
    with pytest.raises(ScorerError, match=r"no replica can be asked now: http://a \(refused\)"):
        one.next()
    clock.now = 10.0
    url, seconds = one.next()
    with one.asking(url, seconds):
        pass
    assert one.next() == ("http://a", 8.0)


def test_an_open_replica_is_passed_over_without_being_asked() -> None:
    one = turn(Clock())
    for _ in range(3):
        one.breakers["http://a"].failed()
    assert one.next()[0] == "http://b"
    assert "http://a (left alone after failures)" in str(one.failure())


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (Lost("refused"), True),
        (Lost("late", late=True), False),
        (Broken("HTML"), True),
        (Unavailable("busy"), False),
    ],
)
def test_what_only_a_short_deadline_caused_or_being_busy_is_no_failure(
    error: Exception, counted: bool
) -> None:
    clock = Clock()
    for _ in range(3):
        one = Turn(["http://a"], {"http://a": Breaker(failures=1, clock=clock)}, 8.0, 2.0, clock)
        fail(one, error)
        assert one.breakers["http://a"].admits() is not counted


def test_silence_for_the_whole_time_is_a_failure() -> None:
    clock = Clock()
    one = Turn(["http://a"], {"http://a": Breaker(failures=1, clock=clock)}, 8.0, None, clock)
    fail(one, Lost("late", late=True))
    assert not one.breakers["http://a"].admits()


def test_a_refusal_passes_and_shows_that_the_replica_lives() -> None:
    one = turn(Clock())
    for _ in range(2):
        one.breakers["http://a"].failed()
    with pytest.raises(ScorerError, match="refused"), one.asking("http://a", 1.0):
        raise ScorerError("refused")
    one.breakers["http://a"].failed()
    assert one.breakers["http://a"].admits()


def test_the_first_of_several_gets_half_of_the_time_that_is_left() -> None:
    clock = Clock()
    assert turn(clock, deadline=6.0).next()[1] == 3.0
    assert turn(clock, deadline=60.0).next()[1] == 8.0
    assert turn(clock, deadline=6.0, order=URLS[:1]).next()[1] == 6.0


def test_no_wait_passes_the_deadline() -> None:
    clock = Clock()
    one = turn(clock, deadline=4.0, order=URLS[:1])
    fail(one, Unavailable("busy", 5.0))
    assert one.enough(state(Unavailable("busy", 5.0)))
    assert not one.enough(state(Unavailable("busy", 3.0)))
    clock.now = 4.0
    with pytest.raises(ScorerError, match=r"before the call's deadline: http://a \(busy\)"):
        one.next()
    with pytest.raises(ScorerError, match="deadline: none was asked"):
        turn(clock, deadline=4.0).next()
