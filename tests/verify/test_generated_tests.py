"""Generated tests decide nothing alone: they say which answers agree, and selection counts that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adaptive_middleware.code.asserts import asserts_in
from adaptive_middleware.engine import run
from adaptive_middleware.policy import fixed
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import execution_agreement
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.types import Candidate, Estimate, Path, Request, Verdict
from adaptive_middleware.verify.generated_tests import generated_tests
from adaptive_middleware.verify.in_order import in_order

QUESTION = Request("Write double(x).")
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
SAME = "def double(x):\n    return x + x\n"
SQUARE = "def double(x):\n    return x * x\n"
STUCK = "def double(x):\n    raise ValueError\n"
WRITTEN = "assert double(2) == 4\nassert double(3) == 6\nassert double(0) == 0\nassert double(1) == 3\n"


class Here:
    """Runs the tests' own programs in this process; None where one raises something else than that it is wrong."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def results(self, programs: Sequence[str], tests: Sequence[str]) -> list[list[bool | None]]:
        self.ran += programs
        return [[self._passes(program, test) for test in tests] for program in programs]

    def _passes(self, program: str, test: str) -> bool | None:
        try:
            exec(compile(f"{program}\n{test}", "case", "exec"), {})  # noqa: S102 - ours
        except AssertionError:
            return False
        except ValueError:
            return None
        return True


def written(_request: Request) -> tuple[str, ...]:
    return asserts_in(WRITTEN, "double")


def test_every_answer_has_its_results_and_none_passes_or_fails() -> None:
    runner = Here()
    found = generated_tests(runner, written).verify(
        QUESTION, [Path((one,)) for one in (RIGHT, SQUARE, STUCK, RIGHT)]
    )
    assert [one.passed for one in found] == [None] * 4
    assert [one.tests for one in found] == [
        (True, True, True, False), (True, False, True, False), (None,) * 4, (True, True, True, False),
    ]  # fmt: skip
    assert found[1].detail == "passes 2 of 4 generated tests"
    assert len(runner.ran) == 3


def test_the_answer_that_tests_and_other_answers_agree_with_is_returned() -> None:
    flow = best_of_n(fixed(4), select=execution_agreement, score=False, verify=True)(QUESTION)
    outcome = run(
        flow, Ports(ScriptedSampler([SQUARE, RIGHT, STUCK, SAME]), verifier=generated_tests(Here(), written))
    )
    assert outcome.chosen.text == RIGHT
    assert outcome.choice is not None
    assert outcome.choice.how == "agreement on generated tests"
    assert outcome.choice.probability is None
    assert not outcome.choice.tied


def test_among_equals_scores_decide_and_a_verified_answer_beats_agreement() -> None:
    flow = best_of_n(fixed(2), select=execution_agreement, verify=True, score_question=False)
    scorer = TableScorer(lambda path: [0.9 if "+" in path.text else 0.2] * len(path.steps))
    ports = Ports(ScriptedSampler([RIGHT, SAME]), scorer, verifier=generated_tests(Here(), written))
    chosen = run(flow(QUESTION), ports)
    assert (chosen.chosen.text, chosen.choice and chosen.choice.probability) == (SAME, 0.9)
    agreed = Candidate(Path(("a",)), verdict=Verdict(None, tests=(True, True)))
    assert (
        execution_agreement([agreed, agreed, Candidate(Path(("b",)), verdict=Verdict(passed=True))]).index
        == 2
    )
    assert execution_agreement([Candidate(Path(("b",)), verdict=Verdict(passed=False)), agreed]).index == 1


def test_two_consensus_sets_of_one_score_are_a_tie_and_without_results_scores_decide() -> None:
    sets = [
        Candidate(Path((text,)), verdict=Verdict(None, tests=row))
        for text, row in (("a", (True, False)), ("b", (False, True)))
    ]
    assert execution_agreement(sets).tied
    scored = [Candidate(Path((text,)), estimate=Estimate(p, p, p)) for text, p in (("a", 0.1), ("b", 0.8))]
    assert execution_agreement(scored).index == 1
    assert execution_agreement([*scored, sets[0]]).index == 2


def test_without_tests_nothing_is_run_and_a_runner_that_miscounts_is_refused() -> None:
    runner = Here()
    assert generated_tests(runner, lambda _: ()).verify(QUESTION, [Path((RIGHT,))]) == [
        Verdict(None, "no generated tests")
    ]
    assert runner.ran == []

    class Short:
        def results(self, programs: Sequence[str], tests: Sequence[str]) -> list[list[bool]]:
            return [[True]]

    with pytest.raises(ValueError, match="gave 1 results for 4 tests"):
        generated_tests(Short(), written).verify(QUESTION, [Path((RIGHT,))])


def test_public_tests_come_first_and_only_what_they_leave_open_is_run() -> None:
    class Public:
        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            return [Verdict(passed=False) if one.text == STUCK else Verdict(None) for one in paths]

    runner = Here()
    verifier = in_order((Public(), generated_tests(runner, written, lambda _: "def double(x):\n")))
    found = verifier.verify(QUESTION, [Path((STUCK,)), Path(("    return 2 * x\n",))])
    assert [one.passed for one in found] == [False, None]
    assert runner.ran == ["def double(x):\n    return 2 * x\n"]
