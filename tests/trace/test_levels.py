"""What is kept of texts is what the level says, and no credential reaches the disk at any level."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.cli.explain_shown import shown
from adaptive_middleware.cli.logs_shown import shown as listed
from adaptive_middleware.redaction import Redaction
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.keeping import LONGEST, Keeping
from adaptive_middleware.trace.reading import Kept, one
from adaptive_middleware.trace.settings import Level, TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Path, ToolCall, Usage, Verdict
from tests.trace.made import calibrate, everything, kept

LEVELS: tuple[Level, ...] = ("none", "hash", "redacted", "full")
PERSON = "ann@example.org"
SAID = f"I asked {PERSON}.\n\nThe answer is 4."


class Refuses:
    def verify(self, request: Request, paths: list[Path]) -> list[Verdict]:
        return [Verdict(False, f"{path.text} is wrong") for path in paths]


def call(file: File, level: Level, request: Request, said: Path, **keys: Any) -> Kept:
    sink = TraceSink(TraceSettings(file, level))
    strategy = best_of_n(fixed(2), score=False, verify=True)
    middleware = Middleware(strategy, verifier=Refuses(), observers=[sink])  # type: ignore[arg-type]
    outcome = middleware.run(request, ScriptedSampler([said, "5"]))
    sink.close()
    return one(file, str(outcome.id))


def texts(kept_call: Kept) -> str:
    return repr((kept_call.question, kept_call.details, kept_call.strategy))


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_says_what_is_kept_of_texts(tmp_path: File, level: Level) -> None:
    found = call(tmp_path / "t.db", level, Request(f"Who is {PERSON}?"), answer(SAID))
    first = found.details["samples"][0]["steps"]
    report = found.report
    assert report is not None
    candidates = report["candidates"]
    if level == "none":
        assert (found.question, first) == (None, None)
        assert [each["answer"] for each in candidates] == ["answer 1", "answer 2"]
        assert candidates[0]["rejected"] is None
    elif level == "hash":
        assert found.question == Keeping("hash").text(f"Who is {PERSON}?")
        assert first == [Keeping("hash").text(SAID)]
        assert candidates[1]["answer"] == Keeping("hash").text("5")
    else:
        shown = PERSON if level == "full" else "[email]"
        assert found.question == f"Who is {shown}?"
        assert "".join(first) == SAID.replace(PERSON, shown)
        assert candidates[0]["rejected"].startswith(f"I asked {shown}.")
    assert (PERSON in texts(found)) is (level == "full")
    assert ("The answer is 4" in texts(found)) is (level in {"redacted", "full"})


@pytest.mark.parametrize("level", LEVELS)
def test_causes_of_trouble_are_cut_where_texts_are_not_kept(tmp_path: File, level: Level) -> None:
    with kept(tmp_path / "t.db", best_of_n(fixed(2), score=False), level=level) as (middleware, _):
        bad = replace(answer(""), error="the provider said: prompt 'my secret plan' refused")
        name = str(middleware.run(Request("?"), ScriptedSampler([bad, "4", "4"])).id)
    found = one(tmp_path / "t.db", name)
    assert ("my secret plan" in texts(found)) is (level in {"redacted", "full"})
    assert found.details["failed"][0].startswith("the provider said")


@pytest.mark.parametrize("level", LEVELS)
def test_no_credential_reaches_the_disk_or_the_log(
    tmp_path: File, level: Level, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    canary, from_environment = f"cnry{secrets.token_hex(12)}", f"cnry{secrets.token_hex(12)}"
    monkeypatch.setenv("SOME_API_KEY", from_environment)
    caplog.set_level(logging.DEBUG)
    leaks = f"sk-{canary} and {from_environment} at https://u:{canary}@h/ with Bearer {canary}"
    request = Request(
        f"Q {leaks}", model=f"m?key={canary}", call_site=leaks, run_id=leaks, tags=frozenset({leaks})
    )
    said = replace(
        answer(f"A {leaks}\n\nB {leaks}"), tool_calls=(ToolCall(f"t{from_environment}", {"k": leaks}),)
    )
    failed = replace(answer(""), error=f"401 {leaks}")
    with kept(tmp_path / "t.db", best_of_n(fixed(3), calibrate=calibrate), level=level) as (middleware, sink):
        middleware.run(request, ScriptedSampler([said, failed, "5", "6"]))
        sink.flush()
        (tmp_path / "t.db").with_name("blocked").touch()
    call(tmp_path / "t.db", level, request, said)
    blocked = TraceSink(TraceSettings(tmp_path / "blocked" / from_environment / "t.db", level))
    Middleware(observers=[blocked]).run(request, ScriptedSampler([said]))
    blocked.close()
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"[secret]" in written
    assert len(everything(tmp_path / "t.db")) == 2
    for leak in (canary, from_environment):
        assert leak.encode() not in written
        assert leak not in caplog.text
    assert "not written down" in caplog.text


def test_equal_answers_have_equal_labels_where_nothing_of_them_is_kept(tmp_path: File) -> None:
    with kept(tmp_path / "t.db", best_of_n(fixed(3), score=False), level="none") as (middleware, _):
        name = str(middleware.run(Request("?"), ScriptedSampler(["4", "5", "4.0"])).id)
    report = one(tmp_path / "t.db", name).report
    assert report is not None
    assert [each["answer"] for each in report["candidates"]] == ["answer 1", "answer 2", "answer 1"]


def test_numbers_that_json_cannot_name_are_absent(tmp_path: File) -> None:
    nowhere = replace(answer("4"), logprobs=(float("-inf"), -0.5, -0.1))
    with kept(tmp_path / "t.db", best_of_n(fixed(1), score=False)) as (middleware, _):
        name = str(middleware.run(Request("?"), ScriptedSampler([nowhere])).id)
    assert one(tmp_path / "t.db", name).details["samples"][0]["logprobs"] == [None, -0.3]


def test_half_a_character_is_kept_as_something_that_can_be_read(tmp_path: File) -> None:
    with kept(tmp_path / "t.db") as (middleware, sink):
        name = str(middleware.run(Request("a \ud800 b"), ScriptedSampler(["\udfff 4"])).id)
        sink.flush()
        assert (sink.written, sink.dropped) == (1, 0)
    assert one(tmp_path / "t.db", name).question == "a \ufffd b"


def test_texts_beyond_all_measure_are_cut_and_say_so(tmp_path: File) -> None:
    long = "x" * (LONGEST + 1234)
    with kept(tmp_path / "t.db", best_of_n(fixed(1), score=False)) as (middleware, _):
        name = str(middleware.run(Request(long), ScriptedSampler([long])).id)
    found = one(tmp_path / "t.db", name)
    cut = "x" * LONGEST + " [1,234 characters more]"
    assert (found.question, found.details["samples"][0]["steps"]) == (cut, [cut])


def test_a_keeping_looks_for_personal_data_only_where_the_level_says_so() -> None:
    told = Redaction(("opensesame",), personal=True)
    assert Keeping("full", told).text(f"{PERSON} opensesame") == f"{PERSON} [secret]"
    assert (
        Keeping("redacted", replace(told, personal=False)).text(f"{PERSON} opensesame") == "[email] [secret]"
    )


@pytest.mark.parametrize("tokens", [-5, 2**70, -(2**70)])
def test_absurd_usage_of_a_provider_is_kept_as_far_as_a_column_can_hold_it(
    tmp_path: File, tokens: int
) -> None:
    absurd = replace(answer("4"), usage=Usage(completion_tokens=tokens, usd=float("nan")))
    with kept(tmp_path / "t.db", best_of_n(fixed(2), score=False)) as (middleware, sink):
        name = str(middleware.run(Request("?"), ScriptedSampler([absurd])).id)
        sink.flush()
        assert (sink.written, sink.dropped) == (1, 0)
    found = one(tmp_path / "t.db", name)
    assert found.tokens == max(min(2 * tokens, 2**63 - 1), 1 - 2**63)
    assert found.usd is None
    assert found.details["samples"][0]["tokens"] == tokens
    assert list(shown(explanation(found)))
    assert len(list(listed([found]))) == 2
