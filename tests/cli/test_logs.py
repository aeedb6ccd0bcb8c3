"""Kept calls, listed and searched, and what came of them said from the command line."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from adaptive_middleware import Request
from adaptive_middleware.cli import app, logs_shown
from adaptive_middleware.trace.reading import Search, found, one
from tests.trace.made import SUM, asked, plain_calls

RUNNER = CliRunner()


@pytest.fixture
def store(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.setenv("ADAPTIVE_MIDDLEWARE_STORE", str(tmp_path / "t.db"))
    return tmp_path / "t.db"


def seen(*arguments: str, command: str = "logs", code: int = 0) -> str:
    ran = RUNNER.invoke(app, [command, *arguments])
    assert ran.exit_code == code, ran.output
    return ran.output if code else ran.stdout


def listed(*arguments: str) -> list[str]:
    return [call["id"] for call in json.loads(seen("--json", *arguments))["calls"]]


def test_calls_are_listed_the_latest_first_with_their_figures(store: File) -> None:
    first = str(asked(store).id)
    (second,) = plain_calls(store, 1)
    head, *rows = seen().splitlines()
    assert head.split() == [
        "id",
        "time",
        "(UTC)",
        "rule",
        "samples",
        "p",
        "tokens",
        "saved",
        "verdict",
        "question",
    ]
    assert rows[0].split()[0] == second[-12:]
    assert rows[1].split()[0] == first[-12:]
    assert rows[1].endswith("default     2/16  0.97       2    88%  unknown  What is 2 + 2?")
    assert rows[0].split()[4:8] == ["1/1", "-", "7", "-"]


def test_json_has_the_figures_of_each_call(store: File) -> None:
    outcome = asked(store)
    (call,) = json.loads(seen("--json"))["calls"]
    assert (call["id"], call["samples"], call["max_samples"], call["p"]) == (outcome.id, 2, 16, 0.97)
    assert (call["question"], call["verdict"], call["degraded"]) == (SUM.text, "unknown", 0)


def test_no_call_is_said_so(store: File) -> None:
    plain_calls(store, 1)
    assert seen("-q", "nowhere") == "no calls found\n"
    assert listed("-q", "nowhere") == []


def test_every_option_narrows_the_search(store: File) -> None:
    a = str(asked(store, request=replace(SUM, model="a", text="apples")).id)
    b = str(asked(store, request=replace(SUM, model="b", text="pears")).id)
    seen(a[-12:], "--correct", "true", command="feedback")
    seen(b, "--correct", "false", command="feedback")
    assert listed("--text", "APPLE") == listed("--model", "a") == listed("--verdict", "right") == [a]
    assert listed("--verdict", "wrong") == [b]
    assert listed("--verdict", "unknown") == listed("--rule", "other") == listed("--degraded") == []
    assert listed("--rule", "default") == listed("--since", "1h") == [b, a]
    assert listed("-n", "1") == [b]
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    assert listed("--until", tomorrow) == [b, a]
    assert listed("--until", "2020-01-01T00:00+02:00") == listed("--since", tomorrow) == []
    assert listed("--since", "2.5w", "--until", "0s") == [b, a]


@pytest.mark.parametrize("written", ["yesterday", "12", "3y", "2026-13-01", ""])
def test_a_time_that_is_none_is_a_usage_error_with_the_forms(store: File, written: str) -> None:
    assert "is no time; write" in " ".join(seen("--since", written, code=2).split())


@pytest.mark.parametrize("columns", [50, 60, 80, 160])
def test_on_a_terminal_no_line_is_wider_than_it(
    store: File, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    asked(store, request=Request("漢字 and words " * 40))
    calls = list(found(store, Search()))

    class Terminal:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", Terminal())
    lines = list(logs_shown.shown([replace(calls[0], rule="a-rule-with-a-very-long-name"), *calls]))
    assert columns - 3 <= max(map(cell_len, lines)) <= columns
    assert ("a-rule-with-a…" in lines[1]) is (columns == 160)
    assert [line.split()[0] for line in lines[1:]] == [calls[0].id[-12:]] * 2


def test_degraded_calls_are_marked_and_absurd_ones_shown(store: File) -> None:
    asked(store)
    (call,) = found(store, Search())
    strange = replace(call, degraded=2, at=1e30, fixed_tokens=0, question=None)
    lines = list(logs_shown.shown([strange]))
    assert "2/16!" in lines[1]


@pytest.mark.parametrize(("said", "verdict"), [("true", "right"), ("false", "wrong"), ("unknown", "unknown")])
def test_feedback_is_kept(store: File, said: str, verdict: str) -> None:
    outcome = asked(store)
    assert str(outcome.id) in seen("last", "--correct", said, command="feedback")
    assert one(store, "last").verdict == verdict
    values = {"true": True, "false": False, "unknown": None}
    told: dict[str, Any] = json.loads(seen("last", "--correct", said, "--json", command="feedback"))
    assert told == {"id": outcome.id, "correct": values[said]}


def test_feedback_for_an_unknown_call_or_without_a_word_is_refused(store: File) -> None:
    asked(store)
    ran = RUNNER.invoke(app, ["feedback", "nonsense", "--correct", "true"])
    assert ran.exit_code == 1
    assert "no call 'nonsense'" in str(ran.exception)
    assert "--correct" in seen("last", command="feedback", code=2)
    assert "maybe" in seen("last", "--correct", "maybe", command="feedback", code=2)
