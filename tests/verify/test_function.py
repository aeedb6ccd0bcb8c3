"""Your own check: what it raises is never a wrong."""

import sys
from collections.abc import Mapping

from adaptive_middleware.types import Path, Request
from adaptive_middleware.verify.attempt import Failed, attempt
from adaptive_middleware.verify.function import function_check

ASKED = Request("?")


def judge(fields: Mapping[str, object], text: str) -> bool:
    if text == "quit":
        sys.exit(0)
    if text == "half":
        return 0.5  # type: ignore[return-value]
    return int(text) == fields["answer"]


def test_the_check_sees_the_fields_and_the_text() -> None:
    verdicts = function_check(judge, {"answer": 4}).verify(ASKED, [Path(("4",)), Path(("5",))])
    assert [verdict.passed for verdict in verdicts] == [True, False]


def test_what_is_raised_or_no_boolean_is_a_verdict_of_none_with_its_cause() -> None:
    paths = [Path(("four",)), Path(("half",)), Path(("quit",)), Path(("4",))]
    verdicts = function_check(judge, {"answer": 4}).verify(ASKED, paths)
    assert [verdict.passed for verdict in verdicts] == [None, None, None, True]
    assert "ValueError: invalid literal for int()" in verdicts[0].detail
    assert verdicts[1].detail == "the check returned 0.5, not True or False"
    assert "SystemExit: 0" in verdicts[2].detail


def test_an_attempt_gives_the_value_or_the_error_itself() -> None:
    error = ValueError("one\ntwo")

    def fails() -> int:
        raise error

    assert attempt(lambda: 5) == 5
    failed = attempt(fails)
    assert isinstance(failed, Failed)
    assert failed.error is error
    assert failed.cause == "ValueError: one two"
