"""Calls without an answer in the store: why, what they had cost, and where they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import Middleware
from adaptive_middleware.cli import app
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.strategies.shadow import as_it_comes
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.trace.export import audit_lines
from adaptive_middleware.trace.reading import Kept, Search, found
from adaptive_middleware.trace.settings import Level
from adaptive_middleware.view.asked import asked as wanted
from adaptive_middleware.view.call_page import of_call
from adaptive_middleware.view.figures import figures
from adaptive_middleware.view.overview import overview
from adaptive_middleware.view.spend import UNSEEN, spend
from tests.trace.made import SUM, asked, kept

SECRET, TEXT = "sk-proj-" + "a1B2c3D4" * 5, "the cards of ann@example.org"
RUNNER = CliRunner()


def told(*arguments: str | File) -> str:
    ran = RUNNER.invoke(app, list(map(str, arguments)))
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def failing(store: File, **settings: Any) -> list[Kept]:
    """One call that fails, one whose stream is left after its first step, one that is answered; the first two as kept."""
    with kept(store, **settings) as (_, sink):
        made = Middleware(as_it_comes, observers=[sink])
        with pytest.raises(SamplerError):
            made.run(SUM, ScriptedSampler([SamplerError(f"HTTP 401: {SECRET}, {TEXT}")]))
        streaming = made.stream(SUM, ScriptedSampler(["4"]), streamer=ScriptedStreamer(["2 + 2\n\nis 4"]))
        next(streaming)
        streaming.close()  # type: ignore[attr-defined]
    asked(store)
    return sorted(found(store, Search(failed=True)), key=lambda call: call.at)


def test_a_row_says_why_there_is_no_answer_and_what_was_used_until_then(tmp_path: File) -> None:
    failed, left = failing(tmp_path / "t.db")
    assert (failed.unanswered, failed.samples, failed.tokens, failed.report) == (
        "failed: AMW-E300",
        1,
        0,
        None,
    )
    assert (left.unanswered, left.samples, left.report) == ("cancelled", 1, None)
    assert left.tokens > 0
    assert left.fixed_tokens == left.tokens, "nothing was saved"
    assert (left.rule, left.model, left.question) == ("default", "small", SUM.text)
    assert "".join(left.details["dropped"][0]["steps"]).startswith("2 + 2")
    assert (failed.details["said"], left.details["said"]) == (None, None)


@pytest.mark.parametrize(
    ("level", "cause"),
    [
        ("none", "SamplerError"),
        ("hash", "SamplerError"),
        ("redacted", "SamplerError: HTTP 401: [secret], the cards of [email]"),
        ("full", "SamplerError: HTTP 401: [secret], the cards of ann@example.org"),
    ],
)
def test_the_cause_is_kept_as_its_level_says_and_never_a_secret(
    tmp_path: File, level: Level, cause: str
) -> None:
    failed, left = failing(tmp_path / "t.db", level=level)
    assert failed.details["cause"] == cause
    assert left.details["cause"] == "GeneratorExit"
    assert SECRET.encode() not in (tmp_path / "t.db").read_bytes()


def test_logs_lists_them_and_finds_them_alone(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    failing(store)
    assert len(json.loads(told("logs", "--store", store, "--json"))["calls"]) == 3
    calls = json.loads(told("logs", "--store", store, "--failed", "--json"))["calls"]
    assert [call["unanswered"] for call in calls] == ["cancelled", "failed: AMW-E300"]
    shown = told("logs", "--store", store, "--failed").splitlines()
    assert "cancelled" in shown[1]
    assert "AMW-E300" in shown[2]


def test_explain_says_it_and_decides_nothing(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    failed, left = failing(store)
    page = told("explain", failed.id, "--store", store)
    assert "no answer, failed: AMW-E300: SamplerError: HTTP 401" in page
    assert "passed through" not in page
    assert "cost: 1 sample, 0 completion tokens" in page
    assert "used until then: 1 requests, 0 prompt tokens, 0 completion tokens, in part estimated" in page
    explained = json.loads(told("explain", left.id, "--store", store, "--json"))
    assert (explained["unanswered"], explained["cause"]) == ("cancelled", "GeneratorExit")
    assert "decisions" not in explained


def test_the_live_page_lists_and_filters_them(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    failed, left = failing(store)
    every, without = figures(store), figures(store, search=wanted({"answered": "no"}))
    assert [line.unanswered for line in every.lines] == [None, "cancelled", "failed: AMW-E300"]
    assert [line.id for line in without.lines] == [left.id, failed.id]
    page = overview(without, "t", spend(UNSEEN))
    assert "<td>cancelled</td>" in page
    assert "<td>AMW-E300</td>" in page
    assert "failed: AMW-E300: SamplerError: HTTP 401" in of_call(failed)


def test_they_are_exported_whole_and_are_nothing_to_audit(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    calls = failing(store)
    lines = told("trace", "export", "--store", store, "--failed").splitlines()
    assert [json.loads(line)["unanswered"] for line in lines] == ["cancelled", "failed: AMW-E300"]
    assert list(audit_lines(calls)) == []
    assert replace(calls[0]).came_of_it == "AMW-E300"
