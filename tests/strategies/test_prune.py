from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.effects import Effect
from adaptive_middleware.engine import arun, run
from adaptive_middleware.errors import BudgetError, SamplerError
from adaptive_middleware.policy import fixed, optimal_stopping
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.strategies.guards import fail_open, transcript, within
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer, answer
from adaptive_middleware.types import Candidate, Decision, Path, Request, State, Usage, Verdict

REQUEST = Request("What is 2 + 2?")
GOOD = "so it is\n\nfour and\n\n4"
BAD = "well it is\n\nfive or so and then some more words\n\n5"


def by_first_word(path: Path) -> list[float]:
    if not path.steps:
        return [0.5]
    return [0.9 if path.steps[0].startswith("so") else 0.02] * len(path.steps)


def keep_likely(state: State, candidate: Candidate) -> int:
    return int(candidate.estimate is None or candidate.estimate.mean > 0.1)


def ports(*script: str | Path | Exception, rule: Callable[[Path], Sequence[float]] = by_first_word) -> Ports:
    return Ports(ScriptedSampler(["plain"]), TableScorer(rule), streamer=ScriptedStreamer(script))


def streamer_of(world: Ports) -> ScriptedStreamer:
    assert isinstance(world.streamer, ScriptedStreamer)
    return world.streamer


def test_a_bad_answer_is_dropped_after_its_first_step_and_only_that_is_paid() -> None:
    world = ports(GOOD, BAD, BAD)
    outcome = run(prune(fixed(3), keep_likely)(REQUEST), world)
    assert outcome.chosen.text == GOOD
    assert streamer_of(world).dropped == ["well it is\n\n"] * 2
    assert outcome.usage.completion_tokens == len(GOOD.split()) + 2 * 3
    assert [one.path.text for one in outcome.dropped] == ["well it is\n\n"] * 2
    assert [one.path.text for one in outcome.considered] == [GOOD]


def test_dropped_answers_count_as_drawn_and_lower_the_belief() -> None:
    seen: list[State] = []

    def policy(state: State) -> int:
        seen.append(state)
        return 1 if state.drawn < 3 else 0

    run(prune(policy, keep_likely)(REQUEST), ports(GOOD, BAD, BAD))
    asked = {state.drawn: state.belief.mean for state in seen}
    assert list(asked) == [0, 1, 2, 3]
    assert asked[3] < asked[2] < asked[1]


def test_the_last_hope_is_read_to_its_end() -> None:
    world = ports(BAD)
    outcome = run(prune(fixed(1), keep_likely)(REQUEST), world)
    assert outcome.chosen.text == BAD
    assert streamer_of(world).dropped == []


def test_the_last_hope_may_go_while_the_policy_will_draw_another() -> None:
    world = ports(BAD, GOOD)
    outcome = run(prune(lambda state: int(state.leader is None), keep_likely)(REQUEST), world)
    assert outcome.chosen.text == GOOD
    assert streamer_of(world).dropped == ["well it is\n\n"]


def test_of_several_bad_answers_the_least_bad_one_is_the_last_hope() -> None:
    def rule(path: Path) -> list[float]:
        return [0.05 if path.text.startswith("b") else 0.02] * max(len(path.steps), 1)

    world = ports("a\n\nx", "b\n\ny", "c\n\nz", rule=rule)
    outcome = run(prune(lambda state: 3 - state.drawn, keep_likely)(REQUEST), world)
    assert outcome.chosen.text == "b\n\ny"
    assert streamer_of(world).dropped == ["a\n\n", "c\n\n"]


def test_open_answers_are_scored_together_and_finished_ones_once_more() -> None:
    world = ports(GOOD, GOOD)
    run(prune(lambda state: 2 - state.drawn, keep_likely, score_question=False)(REQUEST), world)
    assert isinstance(world.scorer, TableScorer)
    assert [[len(path.steps) for path in batch] for batch in world.scorer.seen] == [[1, 1], [2, 2], [3, 3]]


def test_without_scores_every_answer_is_finished() -> None:
    def broken(path: Path) -> list[float]:
        return [float("nan")] * max(len(path.steps), 1)

    outcome = run(prune(fixed(2))(REQUEST), ports(BAD, BAD, rule=broken))
    assert len(outcome.considered) == 2
    assert any("scores rejected" in cause for cause in outcome.degraded)


async def test_both_drivers_give_the_same_outcome() -> None:
    world = ports(BAD, GOOD, BAD)
    same = ports(BAD, GOOD, BAD)
    awaited = AsyncPorts(ScriptedSampler(["plain"]), TableScorer(by_first_word), streamer=streamer_of(same))
    flow = prune(optimal_stopping(), worth_finishing(per_tokens=4, give_up=0.05))
    assert run(flow(REQUEST), world) == await arun(flow(REQUEST), awaited)


def test_where_nothing_streams_the_call_goes_on_as_best_of_n_and_says_so() -> None:
    sampler = ScriptedSampler(["4"])
    outcome = run(prune(fixed(2), keep_likely)(REQUEST), Ports(sampler, TableScorer(by_first_word)))
    assert len(outcome.considered) == 2
    assert outcome.degraded[0].startswith("NotStreaming")


def test_failed_answers_are_set_aside_and_their_cost_counts() -> None:
    lost = Path(error="cut off", usage=Usage(completion_tokens=7, requests=1))
    outcome = run(prune(fixed(2), keep_likely)(REQUEST), ports(lost, GOOD, GOOD))
    assert outcome.failed == (lost,)
    assert outcome.usage.completion_tokens == 7 + 2 * len(GOOD.split())


def test_without_any_answer_the_error_says_why() -> None:
    with pytest.raises(SamplerError, match="cut off"):
        run(prune(fixed(1), keep_likely)(REQUEST), ports(Path(error="cut off")))


class EndsWithFour:
    """Passes whole answers that end with 4."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(path.text.endswith("4")) for path in paths]


def test_only_whole_answers_are_verified() -> None:
    world = ports(GOOD)
    checked = Ports(world.sampler, world.scorer, EndsWithFour(), world.streamer)
    effects: list[Effect[object]] = []
    outcome = run(transcript(prune(fixed(1), keep_likely, verify=True)(REQUEST), effects), checked)
    assert outcome.choice is not None
    assert outcome.choice.how == "verified"
    assert [type(effect).__name__ for effect in effects].count("Verify") == 1


def test_a_deadline_between_two_steps_returns_the_best_finished_answer() -> None:
    ticks = iter([0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0])
    flow = within(
        prune(fixed(2), keep_likely, max_samples=2)(REQUEST), deadline=5.0, clock=lambda: next(ticks)
    )
    one_at_a_time = prune(lambda state: int(state.drawn < 2), keep_likely)
    flow = within(one_at_a_time(REQUEST), deadline=5.0, clock=lambda: next(ticks))
    outcome = run(flow, ports(GOOD, GOOD))
    assert outcome.chosen.text == GOOD
    assert any(cause.startswith("DeadlineExceeded") for cause in outcome.degraded)


def test_a_deadline_before_any_answer_is_the_callers_to_see() -> None:
    flow = within(prune(fixed(1))(REQUEST), deadline=5.0, clock=lambda: 9.0)
    with pytest.raises(BudgetError):
        run(flow, ports(GOOD))


def test_spent_tokens_stop_new_answers_but_not_the_call() -> None:
    flow = within(prune(fixed(8), keep_likely)(REQUEST), tokens=2 * len(GOOD.split()) + 1)
    outcome = run(flow, ports(GOOD))
    assert len(outcome.considered) == 2
    assert any(cause.startswith("TokensExceeded") for cause in outcome.degraded)


class Breaking(ScriptedStreamer):
    """Breaks when the second answer is read."""

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        if len(self.calls) > 1:
            message = "connection lost"
            raise ConnectionError(message)
        return super().advance(request, paths)


def test_a_stream_that_breaks_after_a_finished_answer_only_loses_itself() -> None:
    world = Ports(ScriptedSampler(["x"]), TableScorer(by_first_word), streamer=Breaking([GOOD]))
    flow = prune(lambda state: int(state.drawn < 2 and not state.dropped), keep_likely, max_samples=2)
    outcome = run(fail_open(flow(REQUEST), REQUEST), world)
    assert outcome.chosen.text == GOOD
    assert [path.error for path in outcome.failed] == ["ConnectionError: connection lost"]


def test_the_first_stream_that_breaks_is_the_callers_to_see() -> None:
    class Broken(ScriptedStreamer):
        def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
            message = "connection lost"
            raise ConnectionError(message)

    world = Ports(ScriptedSampler(["x"]), TableScorer(by_first_word), streamer=Broken([GOOD]))
    with pytest.raises(ConnectionError):
        run(fail_open(prune(fixed(1))(REQUEST), REQUEST), world)


def test_a_streamer_that_cannot_open_more_ends_in_what_there_is() -> None:
    world = Ports(
        ScriptedSampler(["x"]),
        TableScorer(by_first_word),
        streamer=ScriptedStreamer([answer(GOOD), OSError("full")]),
    )
    outcome = run(fail_open(prune(lambda s: 1, keep_likely, max_samples=2)(REQUEST), REQUEST), world)
    assert outcome.chosen.text == GOOD
    assert [path.error for path in outcome.failed] == ["OSError: full"]


TEXTS = st.lists(st.sampled_from([GOOD, BAD, "4", "hm\n\nhm\n\n5"]), min_size=1, max_size=6)


@given(TEXTS, st.integers(1, 8), st.floats(0, 1))
def test_pruning_never_costs_more_than_finishing_everything(
    texts: list[str], n: int, threshold: float
) -> None:
    def keep(state: State, candidate: Candidate) -> Decision:
        assert candidate.estimate is not None
        return Decision(int(candidate.estimate.mean >= threshold), "")

    def tokens(strategy: prune) -> int:
        outcome = run(strategy(REQUEST), ports(*texts))
        assert outcome.chosen.done
        assert len(outcome.considered) + len(outcome.dropped) <= 8
        return outcome.usage.completion_tokens

    assert tokens(prune(fixed(n), keep, 8)) <= tokens(prune(fixed(n), lambda s, c: 1, 8))


def test_a_stream_that_is_cut_off_at_its_length_has_ended() -> None:
    class Cut(ScriptedStreamer):
        def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
            return [Path(("4",), done=False, finish_reason="length", raw=path.raw) for path in paths]

    world = Ports(ScriptedSampler(["x"]), TableScorer(by_first_word), streamer=Cut([GOOD]))
    outcome = run(within(fail_open(prune(fixed(1))(REQUEST), REQUEST), tokens=100), world)
    assert outcome.considered[0].answer == "4"
