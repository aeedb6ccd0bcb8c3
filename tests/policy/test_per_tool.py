"""Each tool gets the samples that its rule asks for, and everything else what the other policy says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import belief
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.policy import fixed, instance_adaptive, per_tool
from adaptive_middleware.ports import Policy
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Candidate, Choice, Decision, Path, State, ToolCall, Verdict

DEPLOY = ToolRule("deploy", target=0.97, on_fail="abstain")
SEARCH = ToolRule("search", samples=1)
RULES = (DEPLOY, SEARCH, ToolRule("write_*", samples=4), ToolRule("note", ignore=("why",)))


def state(*names: str, p: float | None = 0.5, drawn: int = 1, limit: int = 16) -> State:
    """`drawn` candidates; the leader is the last one, right with probability `p`, and calls the tools `names`."""
    path = Path(("x",), tool_calls=tuple(ToolCall(name, {}) for name in names))
    candidates = (*[Candidate(Path(("other",)))] * (drawn - 1), Candidate(path))
    return State(candidates, belief.uniform(), limit, leader=Choice(drawn - 1, p, "test"))


def asked(policy: Policy, at: State) -> int:
    decided = policy(at)
    return decided.more if isinstance(decided, Decision) else decided


@pytest.mark.parametrize(
    ("otherwise", "at", "more"),
    [
        (fixed(1), state("deploy", p=0.9), 1),
        (fixed(1), state("deploy", p=0.969), 1),
        (fixed(1), state("deploy", p=0.97), 0),
        (fixed(9), state("deploy", p=0.99), 0),
        (fixed(9), state("deploy", p=0.5), 8),
        (fixed(1), state("deploy", p=None), 1),
        (fixed(1), state("deploy", p=0.5, drawn=16), 0),
        (fixed(99), state("deploy", p=0.5, drawn=14), 2),
        (fixed(9), state("search", p=0.01), 0),
        (fixed(1), state("write_file", p=0.99), 3),
        (fixed(1), state("write_file", drawn=4), 0),
        (fixed(9), state("write_file", drawn=1, limit=2), 1),
        (fixed(5), state("other"), 4),
        (fixed(5), state("note"), 4),
        (fixed(5), state(), 4),
        (fixed(9), state("search", "deploy", p=0.5), 8),
        (fixed(1), state("search", "deploy", p=0.5), 1),
        (fixed(9), state("search", "deploy", p=0.99), 0),
        (fixed(9), state("search", "other"), 8),
        (fixed(2), state("write_a", "other"), 3),
        (fixed(9), state("deploy", "deploy", p=0.98), 0),
        (lambda _: 7, state("other"), 7),
        (lambda _: 7, state("search"), 0),
        (lambda _: 0, state("deploy", p=0.5), 1),
    ],
)
def test_what_the_called_tools_need_is_drawn(otherwise: Policy, at: State, more: int) -> None:
    assert asked(per_tool(otherwise, RULES), at) == more


@pytest.mark.parametrize(
    ("otherwise", "more"), [(fixed(9), 1), (fixed(1), 1), (fixed(0), 0), (lambda _: 5, 1)]
)
def test_the_first_draw_is_one_sample(otherwise: Policy, more: int) -> None:
    nothing = State((), belief.uniform(), 16)
    assert asked(per_tool(otherwise, RULES), nothing) == more


@pytest.mark.parametrize(
    ("name", "otherwise", "more"), [("search", 9, 8), ("search", 1, 0), ("deploy", 1, 1), ("write_a", 2, 1)]
)
def test_a_rejected_call_is_not_enough_even_where_one_sample_would_be(
    name: str, otherwise: int, more: int
) -> None:
    at = state(name, p=0.0)
    rejected = replace(at.candidates[0], verdict=Verdict(passed=False))
    assert asked(per_tool(fixed(otherwise), RULES), replace(at, candidates=(rejected,))) == more
    undecided = replace(at.candidates[0], verdict=Verdict(None))
    again = replace(at, candidates=(undecided,))
    assert asked(per_tool(fixed(otherwise), RULES), again) == asked(per_tool(fixed(otherwise), RULES), at)


def test_dropped_answers_count_and_without_a_leader_the_other_policy_decides() -> None:
    dropped = State((), belief.uniform(), 16, dropped=(Candidate(Path(("a",), done=False)),))
    assert asked(per_tool(fixed(3), RULES), dropped) == 2


def test_a_samples_cap_ends_the_search_for_a_target() -> None:
    policy = per_tool(fixed(16), (ToolRule("deploy", target=0.97, samples=4),))
    assert [asked(policy, state("deploy", drawn=n)) for n in (1, 3, 4, 9)] == [3, 1, 0, 0]


def test_the_decision_says_the_tool_its_target_and_how_far_it_is() -> None:
    policy = per_tool(fixed(1), RULES)
    short, sure, spent, unknown = (
        policy(at)
        for at in (
            state("deploy", p=0.5),
            state("deploy", p=0.98),
            state("deploy", p=0.5, drawn=16),
            state("deploy", p=None),
        )
    )
    assert short == Decision(
        1, "deploy: P(best is right) = 0.500, and 0.97 is required", {"p": 0.5, "target": 0.97}
    )
    assert sure == Decision(0, "deploy: P(best is right) = 0.980 >= 0.97", {"p": 0.98, "target": 0.97})
    assert isinstance(spent, Decision)
    assert (
        spent.because == "deploy: P(best is right) = 0.500, and 0.97 is required; all its samples are drawn"
    )
    assert unknown == Decision(
        1, "deploy: P(best is right) = unknown, and 0.97 is required", {"target": 0.97}
    )


@given(
    st.lists(st.sampled_from(["deploy", "search", "write_x", "other"]), max_size=3),
    st.none() | st.floats(0, 1),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_a_draw_is_the_largest_that_any_called_tool_needs(
    names: list[str], p: float | None, drawn: int, limit: int, n: int
) -> None:
    other = max(n - drawn, 0)
    short = p is None or p < 0.97
    needs = {
        "deploy": min(max(other, 1), max(limit - drawn, 0)) if short else 0,
        "search": 0,
        "write_x": max(min(4, limit) - drawn, 0),
        "other": other,
    }
    at = state(*names, p=p, drawn=drawn, limit=limit)
    assert asked(per_tool(fixed(n), RULES), at) == max((needs[name] for name in names), default=other)


def test_a_rule_that_looks_at_the_question_alone_draws_what_is_missing_after_the_first_sample() -> None:
    assert asked(per_tool(instance_adaptive(cap=5), RULES), state()) == 4


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"target": 1.0}, "the rule of tool 'f': target is 1.0; it must lie between 0 and 1, both excluded"),
        ({"target": 0.0}, "target is 0.0"),
        ({"samples": 0}, "the rule of tool 'f': samples is 0; it must be at least 1"),
        ({"on_fail": "abstain"}, "on_fail is 'abstain', but there is no target to miss; give one"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ToolRule("f", **keys)
    assert words in str(raised.value)
