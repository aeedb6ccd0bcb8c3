"""The matrix of programs and generated tests, against the same statements run here by hand."""

from __future__ import annotations

import pytest

from adaptive_middleware.code.agreement import agreement_scores
from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path, Request
from adaptive_middleware.verify import lasting as module
from adaptive_middleware.verify.generated_tests import generated_tests
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.sandboxed_cases import sandboxed_cases

PROGRAMS = [
    "def big(a, b):\n    return a if a > b else b",
    "def big(a, b):\n    return max(a, b)",
    "def big(a, b):\n    return a",
    "def big(a, b):\n    raise ValueError(a)",
]
TESTS = ["assert big(1, 2) == 2", "assert big(3, 2) == 3", "assert big(1, 1) == 2", "assert big(2, 2) == 2"]


def by_hand(program: str, test: str) -> bool:
    names: dict[str, object] = {}
    try:
        exec(f"{program}\n{test}", names)  # noqa: S102 - the test's own text
    except (AssertionError, ValueError):
        return False
    return True


def test_the_matrix_is_that_of_running_every_pair_by_hand() -> None:
    found = sandboxed_cases(where=unsafe()).results(PROGRAMS, TESTS)
    assert found == [tuple(by_hand(program, test) for test in TESTS) for program in PROGRAMS]


def test_the_answers_that_agree_on_most_tests_score_best() -> None:
    verifier = generated_tests(sandboxed_cases(where=unsafe()), lambda _: TESTS)
    paths = [Path((f"```python\n{program}\n```",)) for program in PROGRAMS]
    verdicts = verifier.verify(Request("big"), paths)
    assert [one.passed for one in verdicts] == [None] * 4
    scores = agreement_scores([one.tests for one in verdicts])
    assert scores[0] == scores[1] > scores[2] > scores[3]


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        message = "none works here"
        raise SandboxError(message)

    monkeypatch.setattr(module, "sandbox", none)
    assert sandboxed_cases().results(PROGRAMS[:2], TESTS[:3]) == [(None, None, None)] * 2
