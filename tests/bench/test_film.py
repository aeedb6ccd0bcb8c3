"""Films: a policy that walks through one ends exactly where the ordinary engine ends."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import (
    agreement,
    early_stopping,
    fixed,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
)
from adaptive_middleware.ports import Policy
from adaptive_middleware.replay import replay, take
from adaptive_middleware.strategies.select import calibrated_argmax, calibrated_vote, majority_vote
from adaptive_middleware.types import State
from bench.allocation.film import film, strategy, walk
from bench.allocation.recordings import Pool, Source
from bench.allocation.views import View, scenes
from tests.bench.recordings import scored

POLICIES: tuple[Policy, ...] = (
    fixed(3),
    agreement(0.8),
    agreement(0.9, window=2),
    early_stopping(2),
    instance_adaptive(0.9, 6),
    score_distribution(0.8, 0.9),
    optimal_stopping(0.8, 0.02),
    optimal_stopping(0.9, 0.0, window=3, sharpness=2.0),
    lambda state: state.limit - state.drawn,
)
POOL = Pool(Source("made", __file__), tuple(scored(10)), False, 6, 4, 3, "tokens")  # type: ignore[arg-type]
WORLDS = {view: scenes(POOL, view).reels for view in (View.votes, View.raw, View.both, View.oracle)}


def replayed(
    one: Reel, policy: Policy, order: tuple[int, ...], cap: int, select: object
) -> tuple[float, ...]:
    outcome = replay(one.tape, strategy(one, policy, select, cap), order)  # type: ignore[arg-type]
    used = outcome.usage
    return (
        float(take(outcome.chosen).correct),
        len(outcome.considered),
        used.completion_tokens,
        used.prm_tokens,
    )


@settings(max_examples=80)
@given(
    st.sampled_from(POLICIES),
    st.sampled_from(sorted(WORLDS)),
    st.integers(0, 9),
    st.integers(2, 6),
    st.sampled_from([calibrated_argmax, calibrated_vote, majority_vote]),
)
def test_a_walk_ends_where_the_engine_ends(
    policy: Policy, view: View, index: int, cap: int, select: object
) -> None:
    one = WORLDS[view][index]
    for order in one.orders:
        right, samples, generated, _, paid = walk(film(one, order, select, 6, 0.0), policy, cap)  # type: ignore[arg-type]
        expected = replayed(one, policy, order, cap, select)
        assert (right, samples, generated, paid) == expected


def test_every_request_pays_the_prompt_once_however_many_it_draws() -> None:
    one = WORLDS[View.votes][0]
    shown = film(one, one.orders[0], majority_vote, 6, 10.0)
    at_once, one_by_one = fixed(6), lambda state: int(state.drawn < 6)
    assert walk(shown, at_once, 6)[3] == 10.0
    assert walk(shown, one_by_one, 6)[3] == 60.0
    assert walk(shown, lambda state: 4 * (state.drawn < 6), 6)[3] == 20.0


def test_an_unknown_prompt_stays_unknown() -> None:
    one = WORLDS[View.votes][0]
    assert math.isnan(walk(film(one, one.orders[0], majority_vote, 6, math.nan), fixed(2), 6)[3])


def test_a_policy_sees_its_own_cap_as_the_limit() -> None:
    one = WORLDS[View.votes][0]
    seen: list[int] = []

    def watching(state: State) -> int:
        seen.append(state.limit)
        return 1

    assert walk(film(one, one.orders[0], majority_vote, 6, 0.0), watching, 4)[1] == 4
    assert set(seen) == {4}


def test_a_policy_that_never_draws_is_refused_by_name() -> None:
    one = WORLDS[View.votes][0]
    with pytest.raises(SamplerError, match=r"fixed\(n=0\) draws nothing"):
        walk(film(one, one.orders[0], majority_vote, 6, 0.0), fixed(0), 6)
