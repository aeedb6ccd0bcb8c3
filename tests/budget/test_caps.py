from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.budget.caps import Cap, Subject, Window, account, private
from adaptive_middleware.errors import ConfigError

CALL = Subject("c1", tenant="acme", policy="coding", model="gpt", run="r1")
INSTANTS = st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def key(window: Window, when: datetime) -> str:
    return account(Cap("tokens", 1, window=window), CALL, when.timestamp()).key


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_two_instants_share_an_account_exactly_when_their_utc_day_or_month_is_the_same(
    when: datetime, later: timedelta
) -> None:
    then = when + later
    assert (key("day", when) == key("day", then)) == (when.date() == then.date())
    assert (key("month", when) == key("month", then)) == ((when.year, when.month) == (then.year, then.month))


def test_a_day_has_24_hours_also_where_clocks_are_put_back() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    assert key("day", night) == key("day", night.replace(fold=1))
    edge = datetime(2026, 10, 25, tzinfo=UTC)
    assert key("day", edge) == key("day", edge + timedelta(hours=24) - timedelta(microseconds=1))
    assert key("day", edge) != key("day", edge + timedelta(hours=24))


def test_a_clock_that_jumps_back_comes_back_to_the_same_account() -> None:
    before, after = datetime(2026, 3, 1, 0, 10, tzinfo=UTC), datetime(2026, 2, 28, 23, 10, tzinfo=UTC)
    assert key("day", after) == key("day", after - timedelta(hours=2))
    assert key("day", before) != key("day", after)


@given(st.text(max_size=9), st.text(max_size=9))
def test_names_that_differ_never_share_an_account(one: str, other: str) -> None:
    cap = Cap("usd", 1, "tenant", "run")
    keys = {
        account(cap, Subject("c", tenant=tenant, run=run), 0.0).key
        for tenant, run in ((one, other), (other, one), (one, one))
    }
    assert len(keys) == len({(one, other), (other, one), (one, one)})


def test_a_name_with_half_a_character_has_an_account_too() -> None:
    assert "%ED%A0%80" in account(Cap("usd", 1, "tenant"), Subject("c", tenant="\ud800"), 0.0).key


def test_nobody_is_told_from_a_tenant_whatever_its_name() -> None:
    cap = Cap("usd", 1, "tenant")
    assert account(cap, Subject("c"), 0.0).key != account(cap, Subject("c", tenant="?"), 0.0).key


@pytest.mark.parametrize(
    ("scope", "held"), [("all", "all="), ("policy", "policy=coding"), ("model", "model=gpt")]
)
def test_the_account_names_what_it_is_for(scope: str, held: str) -> None:
    assert held in account(Cap("usd", 1, scope), CALL, 0.0).key  # type: ignore[arg-type]


def test_calls_of_one_run_share_and_a_call_outside_is_a_run_of_its_own() -> None:
    cap = Cap("tokens", 1, window="run")
    shared = {account(cap, Subject(call, run="r"), 0.0).key for call in ("c1", "c2")}
    alone = {account(cap, Subject(call), 0.0).key for call in ("c1", "c2")}
    assert (len(shared), len(alone)) == (1, 2)
    assert [private(cap, CALL), private(cap, Subject("c")), private(Cap("usd", 1, window="call"), CALL)] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("limit", [0, -1, 10**15 + 1, True, 2.5])
def test_a_limit_that_cannot_be_meant_is_refused(limit: object) -> None:
    with pytest.raises(ConfigError, match="limit of a budget"):
        Cap("usd", limit)  # type: ignore[arg-type]
