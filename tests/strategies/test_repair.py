"""Repair shows the model what failed, within limits, and says in the report what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.engine import run
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, SamplerError
from adaptive_middleware.policy import fixed, optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.report import report
from adaptive_middleware.strategies.effort import Rung
from adaptive_middleware.strategies.follow_up import CUT, follow_up, shown_output
from adaptive_middleware.strategies.repair import repair
from adaptive_middleware.testing import TableScorer, answer
from adaptive_middleware.types import Path, Request, ToolCall, Verdict

QUESTION = Request("Write double(x).", messages=({"role": "user", "content": "Write double(x)."},))
RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return x + 2\n"
OTHER = "def double(x):\n    return x\n"
ODD = "def double(x): ..."


class Recording:
    """Answers as scripted, or as a function of the request says, and keeps what it was asked."""

    def __init__(self, *script: str | Path, of: Callable[[Request], str] | None = None) -> None:
        self.script, self.of, self.asked = list(script), of, list[Request]()

    def sample(self, request: Request, n: int) -> list[Path]:
        self.asked += [request] * n
        drawn: list[str | Path] = (
            [self.of(request) for _ in range(n)] if self.of else [self.script.pop(0) for _ in range(n)]
        )
        return [one if isinstance(one, Path) else answer(one) for one in drawn]


class Doubles:
    """Passes what doubles; says what fails; does not know what is odd."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        assert request == QUESTION
        return [self._verdict(path.text) for path in paths]

    def _verdict(self, text: str) -> Verdict:
        if text == ODD:
            return Verdict(None, "no sandbox")
        return Verdict(
            text == RIGHT, "" if text == RIGHT else f"double(1) of {text[-2:].strip()!r} is not 2\nand more"
        )


def last(request: Request) -> Any:
    return request.messages[-1]


def test_the_failure_is_shown_to_the_model_which_repairs_it() -> None:
    sampler = Recording(of=lambda request: RIGHT if "is not 2" in str(request.messages) else WRONG)
    outcome = run(repair(score=False)(QUESTION), Ports(sampler, verifier=Doubles()))
    assert outcome.chosen.text == RIGHT
    assert outcome.choice is not None
    assert (outcome.choice.how, outcome.choice.probability) == ("verified", 1.0)
    assert sampler.asked[0] == QUESTION
    assert sampler.asked[1].messages[1] == {"role": "assistant", "content": WRONG}
    assert last(sampler.asked[1])["content"].startswith(
        "This program fails its tests:\n\ndouble(1) of '2' is not 2\nand more\n\nCorrect it"
    )
    assert len(sampler.asked) == 2


def test_the_report_says_which_sample_was_repaired_and_why() -> None:
    outcome = run(repair(score=False)(QUESTION), Ports(Recording(WRONG, RIGHT), verifier=Doubles()))
    told: Any = report(outcome)
    said = [decision["because"] for decision in told["decisions"]]
    assert "sample 1 failed (double(1) of '2' is not 2): the next one is asked to repair it" in said
    assert told["strategy"].startswith("repair, ")


def test_after_so_many_repairs_in_a_row_a_fresh_answer_is_drawn() -> None:
    sampler = Recording(*[WRONG, OTHER] * 3)
    run(repair(fixed(6), rounds=2, score=False)(QUESTION), Ports(sampler, verifier=Doubles()))
    assert len(sampler.asked) == 6
    one_by_one = Recording(*[WRONG, OTHER] * 3)
    strategy = repair(lambda state: int(state.drawn < 6), rounds=2, score=False)
    run(strategy(QUESTION), Ports(one_by_one, verifier=Doubles()))
    assert [len(asked.messages) for asked in one_by_one.asked] == [1, 3, 3, 1, 3, 3]
    assert [one_by_one.asked[i].messages[1]["content"] for i in (1, 2, 4)] == [WRONG, OTHER, OTHER]  # type: ignore[index]


@pytest.mark.parametrize(
    "first", [ODD, Path(("I call.",), tool_calls=(ToolCall("run", {}),)), Path(error="lost")]
)
def test_what_was_not_decided_calls_tools_or_never_came_is_not_repaired(first: str | Path) -> None:
    sampler = Recording(first, RIGHT)
    run(
        repair(lambda state: int(state.drawn < 2), max_samples=2, score=False)(QUESTION),
        Ports(sampler, verifier=Doubles()),
    )
    assert sampler.asked == [QUESTION, QUESTION]


def test_a_hopeless_call_is_given_up_on_the_belief_and_goes_to_the_stronger_model_once() -> None:
    sampler = Recording(of=lambda request: RIGHT if request.model == "strong" else WRONG)
    strategy = repair(
        optimal_stopping(give_up=0.2), max_samples=64, escalate=Rung("strong", model="strong"), score=False
    )
    outcome = run(strategy(QUESTION), Ports(sampler, verifier=Doubles()))
    assert [asked.model for asked in sampler.asked].count("strong") == 1
    assert sampler.asked[-1].model == "strong"
    assert last(sampler.asked[-1])["role"] == "user"
    # uniform prior: after k failures E[p] is 1 / (k + 2), which is under 0.2 from k = 4 on
    assert len(sampler.asked) == 4 + 1
    assert outcome.chosen.text == RIGHT
    assert (outcome.rung, outcome.limit) == ("strong", 65)
    assert any("rung 'strong' is asked" in one.because for one in outcome.decisions)


def test_an_answer_that_passed_first_is_not_escalated() -> None:
    sampler = Recording(RIGHT)
    outcome = run(
        repair(escalate=Rung("strong", model="strong"), score=False)(QUESTION),
        Ports(sampler, verifier=Doubles()),
    )
    assert len(sampler.asked) == 1
    assert outcome.rung is None


@pytest.mark.parametrize("drawn", [ODD, RIGHT])
def test_what_did_not_fail_is_returned_and_not_escalated(drawn: str) -> None:
    sampler = Recording(of=lambda _: drawn)
    strategy = repair(fixed(1), escalate=Rung("strong"), on_fail="ask", score=False)
    outcome = run(strategy(QUESTION), Ports(sampler, verifier=Doubles()))
    assert outcome.chosen.text == drawn
    assert outcome.abstained is None


def test_where_every_answer_failed_it_can_ask_instead() -> None:
    outcome = run(
        repair(fixed(2), on_fail="ask", score=False)(QUESTION),
        Ports(Recording(WRONG, OTHER), verifier=Doubles()),
    )
    assert outcome.abstained == "none of 2 answers passed its check"
    assert outcome.chosen.text.startswith("No answer is given: none of 2 answers passed its check.")
    assert outcome.considered[0].path.text == WRONG
    returned = run(
        repair(fixed(2), score=False)(QUESTION), Ports(Recording(WRONG, OTHER), verifier=Doubles())
    )
    assert returned.chosen.text == WRONG


def test_messages_of_a_framework_are_made_by_its_own_function_or_it_is_said_that_they_cannot_be() -> None:
    class Message:
        def __init__(self, role: str, text: str) -> None:
            self.said = f"{role}: {text}"

    strategy = repair(lambda state: int(state.drawn < 2), score=False)
    with_say = Request("q", messages=(Message("user", "q"),), say=Message)

    class Fails:
        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            return [Verdict(passed=False, detail="no")] * len(paths)

    sampler = Recording(WRONG, WRONG)
    run(strategy(with_say), Ports(sampler, verifier=Fails()))
    assert [getattr(one, "said", "")[:9] for one in sampler.asked[1].messages] == [
        "user: q",
        "assistant",
        "user: Thi",
    ]
    silent = Recording(WRONG, WRONG)
    outcome = run(strategy(Request("q", messages=(Message("user", "q"),))), Ports(silent, verifier=Fails()))
    assert [len(asked.messages) for asked in silent.asked] == [1, 1]
    assert any("Message, and the request has no `say`" in one for one in outcome.degraded)


def test_scores_are_those_of_the_question_that_was_asked() -> None:
    scorer = TableScorer(0.5)
    outcome = run(repair()(QUESTION), Ports(Recording(WRONG, RIGHT), scorer, verifier=Doubles()))
    assert [len(batch) for batch in scorer.seen] == [1, 1, 1]
    assert outcome.question is not None


def test_at_a_limit_the_best_answer_so_far_is_returned_and_without_one_it_is_raised() -> None:
    class Late:
        def __init__(self, fine: int) -> None:
            self.fine = fine

        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            self.fine -= 1
            if self.fine < 0:
                message = "late"
                raise DeadlineExceeded(message)
            return Doubles().verify(request, paths)

    for fine in (0, 1):
        outcome = run(repair(score=False)(QUESTION), Ports(Recording(WRONG, OTHER), verifier=Late(fine)))
        assert outcome.degraded[-1] == "DeadlineExceeded: late"
        assert outcome.chosen.text == (OTHER if fine else WRONG)

    class NoTime(Recording):
        def sample(self, request: Request, n: int) -> list[Path]:
            message = "late"
            raise DeadlineExceeded(message)

    with pytest.raises(BudgetError, match="late"):
        run(repair(score=False)(QUESTION), Ports(NoTime(), verifier=Doubles()))


def test_without_any_usable_answer_the_stronger_model_is_asked_and_then_it_is_an_error() -> None:
    sampler = Recording(*[Path(error="lost")] * 3)
    with pytest.raises(SamplerError, match="no usable answer in 3 requested samples"):
        run(
            repair(fixed(2), max_samples=2, escalate=Rung("strong"), score=False)(QUESTION),
            Ports(sampler, verifier=Doubles()),
        )


@given(
    st.lists(st.sampled_from([RIGHT, WRONG, ODD]), min_size=12, max_size=12),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_any_run_stays_within_its_limit_and_returns_what_passed(
    script: list[str], most: int, rounds: int
) -> None:
    sampler = Recording(*script)
    strategy = repair(optimal_stopping(give_up=0.001), max_samples=most, rounds=rounds, score=False)
    outcome = run(strategy(QUESTION), Ports(sampler, verifier=Doubles()))
    assert len(sampler.asked) <= most
    drawn = [one.path.text for one in outcome.considered]
    assert outcome.chosen.text == RIGHT or RIGHT not in drawn
    if RIGHT in drawn:
        assert drawn.index(RIGHT) == len(drawn) - 1


def test_a_follow_up_fits_the_kind_of_messages() -> None:
    plain = follow_up(Request("q"), "a", "c")
    assert plain is not None
    assert (plain.text, [one["content"] for one in plain.messages]) == ("q\n\na\n\nc", ["q", "a", "c"])  # type: ignore[index]
    prompt = follow_up(Request("q", messages=("def f():",)), "a", "c")
    assert prompt is not None
    assert prompt.messages == ("def f():\n\na\n\nc",)
    assert follow_up(Request("q", messages=(1, 2)), "a", "c") is None


@given(st.text(), st.integers(0, 60))
def test_output_is_shown_within_its_limit_and_without_control_characters(output: str, most: int) -> None:
    shown = shown_output(output, most)
    assert len(shown) <= most
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    short = shown_output(output, 10_000)
    assert shown == short or CUT[:most] in shown
