"""What a person and a program see of an explained call."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path as File
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import Middleware, Request, best_of_n, fixed, optimal_stopping
from adaptive_middleware.cli import app
from adaptive_middleware.cli import explain_shown as page
from adaptive_middleware.cli.safe import unicode_is_shown
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.reading import one
from adaptive_middleware.types import Path, Usage, Verdict
from tests.trace.made import SUM, THREE, asked, calibrate, kept, plain_calls

RUNNER = CliRunner()
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnirts\u202c zero\u200bwidth \x9b2J \r\rover\x08\x7f [bold]not markup[/]"

CODE = "import sys; sys.argv = ['x', *sys.argv[1:]]; from adaptive_middleware.cli import main\n"
WATCH = "\ntry:\n    main()\nfinally:\n    print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)), file=sys.stderr)"


@pytest.fixture
def store(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.setenv("ADAPTIVE_MIDDLEWARE_STORE", str(tmp_path / "t.db"))
    return tmp_path / "t.db"


def seen(*arguments: str) -> str:
    ran = RUNNER.invoke(app, ["explain", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_page_says_answer_probability_beliefs_decisions_change_and_cost(store: File) -> None:
    outcome = asked(store)
    shown = seen(str(outcome.id)[-12:])
    assert f"call {outcome.id}" in shown
    assert "rule default, model small, call site tests, run id run-1" in shown
    assert "  What is 2 + 2?" in shown
    assert "returned: sample 2 (4), by calibrated argmax" in shown
    assert "raw score 0.9700 -> right with p = 0.970 (0.485 to 0.985), calibrated" in shown
    assert "    0.9700  4" in shown
    assert f"feedback {str(outcome.id)[-12:]} --correct true" in shown
    assert "  3. stop: the best answer is right with probability 0.970 >= 0.9" in shown
    assert "P(best is right) = 0.970 >= 0.900 = target; gain" in shown
    assert "would have changed the last decision\n  - a `target` above 0.970" in shown
    assert "always 16 samples: about 16 completion tokens; 88% saved" in shown
    rows = [line for line in shown.splitlines() if "|" in line]
    assert rows[0].split()[:3] == ["question", "0.400", "0.400"], "its raw score beside what was made of it"
    assert [row.split()[0] for row in rows] == ["question", "sample", "sample"]
    assert len({row.index("|") for row in rows} | {row.rindex("|") - 25 for row in rows}) == 1


def test_json_is_one_object_and_nothing_else(store: File) -> None:
    outcome = asked(store)
    told: dict[str, Any] = json.loads(seen("--json"))
    assert (told["id"], told["p"], len(told["beliefs"])) == (outcome.id, 0.97, 3)


def test_feedback_and_verdicts_are_on_the_page(store: File) -> None:
    class Passes:
        def verify(self, request: Request, paths: list[Path]) -> list[Verdict]:
            return [Verdict(path.text == "4", "no") for path in paths]

    strategy = best_of_n(fixed(2), score=False, verify=True)
    with kept(store, strategy) as (_, sink):
        middleware = Middleware(strategy, verifier=Passes(), observers=[sink])  # type: ignore[arg-type]
        name = str(middleware.run(SUM, ScriptedSampler(["5", "4"])).id)
        middleware.feedback(name, correct=True)
    shown = seen()
    assert "verdict: right\n" in shown
    assert " failed  |" in shown
    assert " passed  |" in shown
    assert "the numbers of this policy do not tell" in shown


def test_a_call_that_was_passed_through_is_said_so(store: File) -> None:
    plain_calls(store, 1)
    shown = seen()
    assert "passed through: one sample, nothing was decided\n  4\n" in shown
    assert "always" not in shown


@pytest.mark.parametrize("level", ["none", "hash"])
def test_without_texts_the_page_says_so(store: File, level: Any) -> None:
    asked(store, level=level)
    shown = seen()
    assert "What is" not in shown
    assert ("texts are not kept" in shown) is (level == "none")
    assert "    0.9700" in shown


def test_trouble_and_what_was_said_in_place_of_an_answer_are_on_the_page(store: File) -> None:
    bad = replace(answer(""), error="no route: at all")
    cheap = replace(answer("4", tokens=0), usage=Usage(usd=0.5, requests=1))
    asked(store, [bad, cheap, cheap], strategy=THREE)
    shown = seen()
    assert "failed: no route: at all" in shown
    assert "degraded: sample failed: no route: at all" in shown
    assert "USD" in shown


def test_an_abstained_call_says_why_and_what_was_said(store: File) -> None:
    with kept(store, best_of_n(fixed(1), calibrate=calibrate)) as (middleware, sink):
        outcome = middleware.run(SUM, ScriptedSampler(["4"]))
        said = replace(answer("I am not sure."), done=False)
        sink.ended(SUM, replace(outcome, id="x" * 36, chosen=said, abstained="pay: too risky"), 0.1)
    shown = seen()
    assert "withheld: pay: too risky" in shown
    assert "said in its place:\n  I am not sure." in shown


def test_long_answers_are_shown_in_part_and_long_steps_cut(store: File) -> None:
    steps = tuple(f"step {number} {'x' * 200}\n\n" for number in range(30))
    asked(
        store,
        [Path(steps, finish_reason="stop")],
        strategy=best_of_n(fixed(1), calibrate=calibrate, max_samples=2),
    )
    shown = seen()
    assert "... 10 more steps" in shown
    assert "step 19" in shown
    assert "step 20" not in shown
    assert all(len(line) <= 110 for line in shown.splitlines())


def test_scores_of_the_last_steps_alone_stand_beside_these(store: File) -> None:
    told = {"step_scores": [0.5], "steps": ["a", "b"]}
    assert list(page._steps(told, 80)) == ["         -  a", "    0.5000  b"]


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_on_a_terminal_no_line_is_wider_than_it(
    store: File, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    asked(store, request=replace(SUM, text="many words " * 60))

    class Terminal:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", Terminal())
    lines = list(page.shown(explanation(one(store, "last"))))
    assert max(map(len, lines)) <= max(columns, 60)
    assert any(len(line) > 100 for line in lines) is (columns == 200)
    assert any("10 % .. 90 %" in line for line in lines) is (columns == 200)


def test_hostile_text_moves_nothing_on_the_terminal(store: File) -> None:
    request = Request(HOSTILE, model=HOSTILE, call_site=HOSTILE, run_id=HOSTILE)
    bad = replace(answer(""), error=HOSTILE)
    asked(store, [bad, HOSTILE, "5"], request=request, strategy=THREE)
    shown = seen() + RUNNER.invoke(app, ["logs"]).stdout
    bad_letters = {each for each in shown if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"}} - {"\n"}
    assert bad_letters == set()
    assert "[bold]not markup[/]" in shown


def test_a_store_that_is_not_there_is_one_line_that_says_what_to_do(tmp_path: File) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"{CODE}main()", "explain", "--store", tmp_path / "no.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {tmp_path / 'no.db'}: no trace store there; name one by --store")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_it_needs_no_heavy_library_and_any_encoding_will_do(store: File, encoding: str) -> None:
    asked(
        store,
        request=Request("Übergröße → ∞?"),
        strategy=best_of_n(optimal_stopping(0.9), calibrate=calibrate),
    )
    ran = subprocess.run(
        [sys.executable, "-c", CODE + WATCH, "explain"],
        capture_output=True,
        check=True,
        env={
            "PYTHONIOENCODING": encoding,
            "ADAPTIVE_MIDDLEWARE_STORE": str(store),
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    assert ran.stderr.decode().strip() == "[]"
    shown = ran.stdout.decode(encoding)
    assert ("█" in shown) is (encoding == "utf-8")
    assert ("∞" in shown) is (encoding == "utf-8")
    assert "right with p = 0.970" in shown


def test_a_note_and_a_sample_without_scores_are_on_the_page(store: File) -> None:
    asked(store)
    call = one(store, "last")
    told = call.report
    assert told is not None
    told["candidates"][0]["estimate"]["mean"] = 0.9
    told["candidates"][1]["step_scores"] = None
    told["lower"] = None
    shown = "\n".join(page.shown(explanation(call)))
    assert "note: the policy believed" in shown
    assert "  right with p = 0.970, calibrated" in shown


def test_dropped_answers_stand_last_with_what_was_known_of_them(store: File) -> None:
    asked(store)
    call = one(store, "last")
    told = call.report
    assert told is not None
    told["dropped"] = [{"steps": 1, "p": 0.25, "completion_tokens": 3}]
    told["decisions"].insert(1, {"more": 0, "because": "dropped after 1 steps: p = 0.25", "numbers": {}})
    lines = list(page.shown(explanation(call)))
    (row,) = [line for line in lines if line.startswith("dropped 1 ")]
    assert row.split()[:4] == ["dropped", "1", "-", "0.250"]
    assert "  2. drop one: dropped after 1 steps: p = 0.25" in lines


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", True), ("ascii", False), ("nonsense", False), (None, False)]
)
def test_whether_letters_beyond_ascii_are_shown_is_asked_of_standard_output(
    monkeypatch: pytest.MonkeyPatch, encoding: str | None, shown: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding=encoding))
    assert unicode_is_shown() is shown
