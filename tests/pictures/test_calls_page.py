"""The page of kept calls shows what they got, what that saved, and whether p was what it said."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.pictures import calls_report
from adaptive_middleware.trace.reading import Kept
from tests.pictures.kept import call
from tests.pictures.reading import read
from tests.trace.made import asked, plain_calls

RUNNER = CliRunner()


def texts(calls: list[Kept], out: Path) -> list[str]:
    calls_report(out, title="Kept", calls=calls)
    return [text.strip() for _, text in read(out.read_text("utf-8")).texts]


def after(found: list[str], name: str) -> str:
    return found[found.index(name) + 1]


def test_the_facts_are_sums_over_the_calls(tmp_path: Path) -> None:
    calls = [call(number) for number in range(40)]
    found = texts(calls, tmp_path / "c.html")
    assert after(found, "Calls") == "40, from 2026-11-26T13:32 to 2026-11-26T13:33 UTC"
    assert after(found, "Samples") == "50"
    assert after(found, "Completion tokens") == "4,000; 87.5\u00a0% less than always max_samples"
    assert after(found, "Right of known") == f"{100 * 16 / 32:.1f}\u00a0% of 32"
    assert after(found, "Degraded") == "2.5\u00a0%"
    assert "Cost" not in found
    priced = [replace(each, usd=0.25) for each in calls[:3]]
    assert after(texts(priced, tmp_path / "d.html"), "Cost") == "0.7500 USD for 3 calls"


def test_every_policy_and_every_call_has_a_row(tmp_path: Path) -> None:
    found = texts([call(number) for number in range(12)], tmp_path / "c.html")
    row = found.index("codegen")
    assert found[row : row + 8] == [
        "codegen",
        "4",
        "1.25",
        "400",
        "3,200",
        "87.5\u00a0%",
        "66.7\u00a0% of 3",
        "0",
    ]
    row = found.index("000000000007")
    assert found[row + 2 : row + 7] == ["default", "1/8!", "0.75", "100", "wrong"]


def test_the_chart_says_how_many_samples_calls_got(tmp_path: Path) -> None:
    found = texts([call(number, max_samples=2) for number in range(12)], tmp_path / "c.html")
    assert (
        "75.0\u00a0% of 12 calls were answered with one sample, 25.0\u00a0% drew all they might. The mean is 1.25."
        in found
    )


def test_reliability_is_drawn_from_calls_of_which_enough_is_known(tmp_path: Path) -> None:
    enough = [call(number, correct=number % 2 == 0) for number in range(10)]
    assert "Is p what it says?" in texts(enough, tmp_path / "a.html")
    unusable: list[dict[str, Any]] = [
        {"correct": None},
        {"p": None},
        {"verified": True},
        {"details": {"report": None}},
        {"details": {"report": {"calibrated": False, "chosen": 0, "abstained": None}}},
        {"details": {"report": {"calibrated": True, "chosen": None, "abstained": None}}},
        {"details": {"report": {"calibrated": True, "chosen": 0, "abstained": "no"}}},
        {"details": {"report": {"calibrated": True, "chosen": 0, "abstained": None, "candidates": [{"step_scores": None}]}}},
    ]  # fmt: skip
    for number, keys in enumerate(unusable):
        found = texts([*enough[:9], replace(enough[9], **keys)], tmp_path / f"{number}.html")
        assert "Is p what it says?" not in found
        assert any("the outcome of 9 scored calls is known, 10 are needed" in text for text in found)


def test_calls_without_tokens_or_questions_have_dashes(tmp_path: Path) -> None:
    bare = call(0, tokens=0, fixed_tokens=0, p=None, question=None, correct=None)
    found = texts([bare], tmp_path / "c.html")
    assert after(found, "Completion tokens") == "0; – less than always max_samples"
    assert after(found, "Right of known") == "–"


def test_two_thousand_calls_fit_in_half_a_megabyte(tmp_path: Path) -> None:
    calls = [
        call(number, question=f"{number} of these questions, each of some length, to cut")
        for number in range(2000)
    ]
    size = calls_report(tmp_path / "c.html", title="Calls", calls=calls)
    assert size == (tmp_path / "c.html").stat().st_size < 500_000
    assert stat.S_IMODE((tmp_path / "c.html").stat().st_mode) == 0o600


def test_hidden_and_reversing_letters_are_marked(tmp_path: Path) -> None:
    hostile = call(0, question="a \u202e b \u200b c", rule="r\u202e")
    calls_report(tmp_path / "c.html", title="Calls", calls=[hostile])
    text = (tmp_path / "c.html").read_text("utf-8")
    assert "a \ufffd b \ufffd c" in text
    assert not {"\u202e", "\u200b"} & set(text)


def test_nothing_to_report_on_and_nowhere_to_write_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(AdaptiveError, match="no calls to report on"):
        calls_report(tmp_path / "c.html", title="Calls", calls=[])
    with pytest.raises(AdaptiveError, match="the report cannot be written"):
        calls_report(tmp_path / "no" / "c.html", title="Calls", calls=[call(0)])


def test_the_command_draws_the_latest_calls_of_a_store(tmp_path: Path) -> None:
    store, out = tmp_path / "t.db", tmp_path / "out.html"
    asked(store)
    plain_calls(store, 3)
    ran = RUNNER.invoke(app, ["report", "-o", str(out), "--store", str(store), "--title", "Mine"])
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith(f"wrote {out}: 4 calls, ")
    assert "Mine" in out.read_text("utf-8")
    ran = RUNNER.invoke(app, ["report", "-o", str(out), "--store", str(store), "-n", "2", "--json"])
    assert json.loads(ran.stdout) == {"file": str(out), "calls": 2, "bytes": out.stat().st_size}


def test_a_page_without_a_name_or_with_a_command_is_a_usage_error(tmp_path: Path) -> None:
    ran = RUNNER.invoke(app, ["report", "-n", "3"])
    assert ran.exit_code == 2
    assert "report -o out.html" in " ".join(ran.output.split())
    ran = RUNNER.invoke(app, ["report", "-o", "a.html", "leaderboard", "rows.json"])
    assert ran.exit_code == 2
    assert "after the command's name" in " ".join(ran.output.split())
