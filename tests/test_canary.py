"""The canary is found where it comes out, and comes out of no sink of ours."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path as File
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed
from adaptive_middleware.cli import app
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.redaction import Redaction
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.trace.settings import Level, TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Candidate, Outcome, Path, StepScores, Unanswered, Usage, Verdict
from tests.canary import NAME, Canary, Records, planted

ROOT = File(__file__).parents[1]
SECRET = "canary-of-this-file-0123456789"  # noqa: S105 - nobody's
REQUEST = planted(Request("2 + 2?", model="m", call_site="here", run_id="r", tags=frozenset({"t"})), SECRET)
FULL = Outcome(
    Path(("4",)),
    (Candidate(Path(("4",), finish_reason="stop"), StepScores((0.5,)), None, "4", Verdict(False, "no")),),
    degraded=("ScorerError: down",),
    failed=(Path(error="HTTP 500: gone"),),
    limit=4,
    abstained="too risky",
)
FAILED = Unanswered("failed: OSError", "OSError", "gone", "rule", Usage(requests=1), (Path(("4",)),), 1)


class Leaks:
    """An observer whose error has the secret."""

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        raise OSError(SECRET)


@pytest.fixture(autouse=True)
def a_secret_of_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTS_OWN_API_KEY", SECRET)


def blind(self: Redaction, text: str) -> str:
    """A redaction that takes nothing out."""
    return text


@pytest.mark.parametrize("outcome", [FULL, FAILED], ids=["answered", "unanswered"])
def test_a_call_with_the_canary_in_every_text_is_told_without_it(outcome: Outcome | Unanswered) -> None:
    canary = Canary(SECRET)
    canary.ended(REQUEST, outcome)
    assert canary.found == []


@pytest.mark.parametrize("outcome", [FULL, FAILED], ids=["answered", "unanswered"])
def test_a_redaction_that_takes_nothing_out_is_found_at_every_level_and_in_telemetry(
    outcome: Outcome | Unanswered, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk")
    canary = Canary(SECRET)
    monkeypatch.setattr(Redaction, "__call__", blind)
    canary.ended(REQUEST, outcome)
    where = {found.partition(":")[0] for found in canary.found}
    assert where == {*(f"a row at level {level}" for level in get_args(Level)), "OpenTelemetry"}


def test_a_log_record_and_a_file_with_the_canary_are_found(tmp_path: File) -> None:
    canary = Canary("a-secret-that-nobody-knows")
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "the key is %s", (canary.secret,), None)
    Records(canary).emit(record)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "t.db").write_bytes(b"\0\xff" + canary.secret.encode())
    canary.look_into(tmp_path)
    assert [found.partition(":")[0] for found in canary.found] == ["the log x", "the file t.db"]


@pytest.mark.parametrize("level", get_args(Level))
def test_no_file_page_or_terminal_has_it_at_any_level(
    tmp_path: File, level: Level, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sink = TraceSink(TraceSettings(tmp_path / "t.db", level=level))
    rules = [
        Rule("shadow", best_of_n(fixed(2)), when=lambda request: request.model == "s", shadow=True),
        Rule("code", best_of_n(fixed(2))),
    ]
    made = Middleware(rules=rules, scorer=TableScorer(0.5), observers=[Leaks(), sink])
    answers = [answer(f"It is {SECRET}."), Path(error=f"HTTP 401: {SECRET}", usage=Usage(requests=1))]
    made.run(REQUEST, ScriptedSampler(answers))
    made.run(replace(REQUEST, model="s"), ScriptedSampler(answers[:1]))
    with pytest.raises(SamplerError):
        made.run(REQUEST, ScriptedSampler([SamplerError(f"key {SECRET} refused")]))
    assert made._now.shadowing is not None
    made._now.shadowing.wait()
    sink.close()
    assert sink.written == 3
    shown = "".join(said(tmp_path / "t.db"))
    CliRunner().invoke(app, ["report", "-o", str(tmp_path / "p.html"), "--store", str(tmp_path / "t.db")])
    canary = Canary(SECRET)
    canary.look_into(tmp_path)
    canary.look("the terminal", shown)
    canary.look("the log", caplog.text)
    assert canary.found == []
    assert "observer" in caplog.text
    assert (tmp_path / "p.html").exists()


def said(store: File) -> list[str]:
    """What commands print of a store."""
    commands: list[list[Any]] = [["explain", "last"], ["explain", "--json"], ["logs"], ["logs", "--json"]]
    commands += [["trace", "export"], ["trace", "export", "--as", "audit"]]
    ran = [CliRunner().invoke(app, [*command, "--store", str(store)]) for command in commands]
    assert [one.exit_code for one in ran] == [0] * len(ran)
    return [one.output for one in ran]


LEAKING = f"""
import os, logging
from pathlib import Path

def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "trace.db").write_text(os.environ["{NAME}"])

def test_a_log() -> None:
    logging.getLogger("adaptive_middleware.x").error("key %s", os.environ["{NAME}"])

def test_nothing(tmp_path: Path) -> None:
    (tmp_path / "trace.db").write_text("[secret]")
"""


def test_the_whole_suite_is_watched_and_a_test_that_lets_it_out_fails(tmp_path: File) -> None:
    (tmp_path / "test_leaks.py").write_text(LEAKING, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.canary", "--rootdir", str(tmp_path)]
    command += [
        "-c",
        os.devnull,
        str(tmp_path / "test_leaks.py"),
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}/t",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert "3 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count(f"the secret of {NAME} came out") >= 2
    assert "test_nothing" not in done.stdout


def test_this_session_is_watched(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.has_plugin("adaptive-canary")
    assert os.environ[NAME].startswith("canary-")
