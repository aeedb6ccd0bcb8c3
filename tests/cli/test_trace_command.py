"""Kept calls, taken out: as they are, for `audit`, and as a recording to replay and calibrate on."""

from __future__ import annotations

import json
import secrets
import stat
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import Middleware, Request, best_of_n, fixed, report
from adaptive_middleware.audit.store import read_store
from adaptive_middleware.cli import app
from adaptive_middleware.recording import read_recording, steps_of
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.types import Outcome, Path, Verdict
from tests.trace.made import SUM, THREE, asked, kept, plain_calls

RUNNER = CliRunner()


@pytest.fixture
def store(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.setenv("ADAPTIVE_MIDDLEWARE_STORE", str(tmp_path / "t.db"))
    return tmp_path / "t.db"


def exported(*arguments: str | File, code: int = 0) -> str:
    ran = RUNNER.invoke(app, ["trace", "export", *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran.output if ran.exception is None or code == 2 else str(ran.exception)


def judged_call(store: File, answers: list[str | Path], *, correct: bool | None, **keys: Any) -> Outcome:
    outcome = asked(store, answers, strategy=THREE, **keys)
    judge(store, str(outcome.id), correct=correct)
    return outcome


def test_calls_are_written_whole_one_a_line(store: File) -> None:
    outcome = asked(store)
    plain_calls(store, 1)
    first, second = map(json.loads, exported().splitlines())
    assert second["details"]["report"] == report(outcome)
    assert (first["details"]["said"], second["question"], second["time"][-1]) == ("4", SUM.text, "Z")


def test_what_is_exported_can_be_narrowed(store: File) -> None:
    outcome = judged_call(store, ["4"], correct=True)
    plain_calls(store, 2)
    (line,) = exported("--verdict", "right").splitlines()
    assert json.loads(line)["id"] == outcome.id


def test_an_export_for_audit_is_read_by_it(store: File, tmp_path: File) -> None:
    first = judged_call(store, ["5", "4", "4"], correct=True)
    judged_call(store, ["5", "5", "4"], correct=False)
    judged_call(store, ["4"], correct=None)
    plain_calls(store, 1)
    judged_call(store, ["4"], correct=True, level="none")
    out = tmp_path / "calls.jsonl"
    assert exported("--as", "audit", "-o", out) == f"wrote {out}: 4 calls\n"
    found = read_store(out)
    assert [(call.p, call.correct) for call in found.calls] == [(0.97, True), (0.97, False), (0.97, True)]
    assert found.timed
    assert found.calls[0].id == found.calls[1].id != found.calls[2].id
    assert json.loads(out.read_text().splitlines()[-1])["call"] == first.id
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def recording(store: File, *arguments: str) -> list[Any]:
    out = store.with_name("r.jsonl.gz")
    exported("--as", "recording", "-o", out, "--force", *arguments)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    return read_recording(out)


def test_a_recording_has_the_samples_whose_outcome_is_known(store: File) -> None:
    text = "2 + 2 = 4\n\nThe answer is 4."
    drawn = replace(answer(text, tokens=9), logprobs=(-0.5, -0.2, -0.1))
    outcome = judged_call(store, [drawn, answer("so 2 + 2 = 4", tokens=5), "5"], correct=True)
    (problem,) = recording(store)
    assert (problem.id, problem.question) == (outcome.id, SUM.text)
    one, two, three = problem.samples
    assert (one.text, one.tokens, one.correct, one.answer, one.scores) == (text, 9, True, "4", (0.5, 0.5))
    assert steps_of(one) == ("2 + 2 = 4\n\n", "The answer is 4.")
    assert one.logprobs == pytest.approx((-0.5, -0.8 / 3))
    assert (two.correct, two.logprobs) == (True, None)
    assert (three.text, three.correct) == ("5", False)


def test_where_the_answer_was_wrong_only_equal_ones_are_known(store: File) -> None:
    outcome = judged_call(store, ["4", "5", "4.0"], correct=False)
    told = report(outcome)
    assert told is not None
    (problem,) = recording(store)
    assert [(sample.text, sample.correct) for sample in problem.samples] == [("4", False), ("4.0", False)]


def test_calls_with_the_same_question_are_one_problem(store: File) -> None:
    judged_call(store, ["4", "4", "4"], correct=True)
    judged_call(store, ["4", "5", "4"], correct=True)
    judged_call(store, ["4", "4", "4"], correct=True, request=Request("Another?"))
    sizes = {problem.question: len(problem.samples) for problem in recording(store)}
    assert sizes == {SUM.text: 6, "Another?": 3}


def test_verdicts_of_a_verifier_count_for_every_sample(store: File) -> None:
    class Knows:
        def verify(self, request: Request, paths: list[Path]) -> list[Verdict]:
            return [Verdict({"4": True, "5": False}.get(path.text)) for path in paths]

    strategy = best_of_n(fixed(3), score=False, verify=True)
    with kept(store, strategy) as (_, sink):
        middleware = Middleware(strategy, verifier=Knows(), observers=[sink])  # type: ignore[arg-type]
        middleware.run(SUM, ScriptedSampler(["5", "6", "4"]))
    (problem,) = recording(store)
    assert [(sample.text, sample.correct) for sample in problem.samples] == [("5", False), ("4", True)]


def test_a_withheld_answer_says_nothing_of_its_samples(store: File) -> None:
    with kept(store, THREE) as (middleware, sink):
        outcome = middleware.run(SUM, ScriptedSampler(["4"]))
        sink.ended(SUM, replace(outcome, id="1" * 36, abstained="no"), 0.1)
    judge(store, "1" * 36, correct=True)
    assert "nothing to record" in exported("--as", "recording", "-o", store.with_name("r.jsonl"), code=1)


def test_what_a_recording_lacks_is_counted(store: File, tmp_path: File) -> None:
    judged_call(store, ["4", "4", "4"], correct=True)
    judged_call(store, ["4", "4", "4"], correct=None)
    judged_call(store, ["4"], correct=True, level="hash")
    plain_calls(store, 1)
    out = tmp_path / "r.jsonl"
    told = json.loads(exported("--as", "recording", "-o", out, "--json"))
    assert told == {"file": str(out), "problems": 1, "calls": 1, "calls_left_out": 2, "samples_left_out": 3}


def test_nothing_to_record_is_an_error_that_says_why(store: File) -> None:
    plain_calls(store, 2)
    said = exported("--as", "recording", "-o", store.with_name("r.jsonl"), code=1)
    assert "2 calls were passed through or kept without texts" in said
    assert not store.with_name("r.jsonl").exists()


def test_a_recording_needs_a_file(store: File) -> None:
    asked(store)
    assert "name it by --out" in " ".join(exported("--as", "recording", code=2).split())


def test_a_file_that_is_there_is_replaced_only_by_force_and_never_by_half(
    store: File, tmp_path: File
) -> None:
    asked(store)
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    assert "is there already" in exported("-o", out, code=1)
    assert out.read_text() == "mine"
    exported("-o", out, "--force")
    assert json.loads(out.read_text())["question"] == SUM.text
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith(".")) == []


def test_a_file_that_cannot_be_written_is_a_clear_error(store: File, tmp_path: File) -> None:
    asked(store)
    assert "cannot be written" in exported("-o", tmp_path / "no" / "out.jsonl", code=1)


def test_a_recording_of_kept_calls_can_be_replayed(store: File, tmp_path: File) -> None:
    for number in range(4):
        request = Request(f"What is {number} + {number}?")
        judged_call(store, ["4", "5", "4"], correct=number % 2 == 0, request=request)
    out = tmp_path / "r.jsonl"
    exported("--as", "recording", "-o", out)
    ran = RUNNER.invoke(
        app, ["bench", "replay", str(out), "--calibration", "raw", "--repeats", "2", "--json"]
    )
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["problems"] == 4


@pytest.mark.parametrize("level", ["none", "hash", "redacted", "full"])
def test_no_credential_is_in_anything_that_is_shown_or_written(
    store: File, tmp_path: File, level: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, known = f"cnry{secrets.token_hex(12)}", f"cnry{secrets.token_hex(12)}"
    monkeypatch.setenv("SOME_PROVIDER_TOKEN", known)
    leaks = f"sk-{canary} and {known} at https://u:{canary}@h/"
    request = Request(f"Q {leaks}", model=leaks, call_site=leaks, run_id=leaks)
    failed = replace(answer(""), error=f"401 {leaks}")
    judged_call(store, [answer(f"A {leaks}"), failed, "5"], correct=True, request=request, level=level)
    out = tmp_path / "out"
    commands = [
        ["explain"],
        ["explain", "--json"],
        ["logs"],
        ["logs", "--json"],
        ["report", "-o", str(out / "r.html")],
    ]
    commands += [["trace", "export", "--as", form, "-o", str(out / form)] for form in ("calls", "audit")]
    commands += [["trace", "export", "--as", "recording", "-o", str(out / "rec")]] * (
        level in {"redacted", "full"}
    )
    out.mkdir()
    shown = ""
    for command in commands:
        ran = RUNNER.invoke(app, command)
        assert ran.exit_code == 0, ran.output
        shown += ran.output
    shown += "".join(file.read_text("utf-8") for file in out.iterdir())
    assert "[secret]" in shown
    assert canary not in shown
    assert known not in shown


def test_lines_on_standard_output_are_ascii_whatever_was_said(store: File) -> None:
    asked(store, ["漢字 \U0001f600"], request=Request("Übergröße?"))
    written = exported()
    assert written.isascii()
    assert json.loads(written)["details"]["samples"][0]["steps"] == ["漢字 \U0001f600"]
