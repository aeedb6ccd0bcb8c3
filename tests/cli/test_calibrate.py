"""`calibrate` as a user runs it: killed and resumed, dry, with bad input, and on the real lab pair."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from adaptive_middleware import pictures
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.examples import read
from adaptive_middleware.cli import app, calibrate_run, calibrate_shown
from adaptive_middleware.cli.calibrate_given import given
from adaptive_middleware.cli.calibrate_shown import Watcher
from adaptive_middleware.collect.control import Spent
from adaptive_middleware.lab.problems import stories
from adaptive_middleware.recording import write_recording
from tests.collect.test_session import recorded
from tests.collect.world import prompts_file

ROOT = Path(__file__).parents[2]
SMALL = ("--sampler", "tests.collect.world:luck", "--prm", "tests.collect.world:hunch", "--answers", 3)
SIZE = ("--prefixes", 1, "--rollouts", 4, "--max-tokens", 3)
FILES = ("calibration.json", "examples_fit.jsonl.gz", "examples_held_out.jsonl.gz", "report.json")


DRAW = calibrate_run._draw


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take seconds: only the tests that look at them draw them."""
    monkeypatch.setattr(calibrate_run, "_draw", lambda _result, _out: None)


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    return prompts_file(tmp_path / "prompts.jsonl", 30)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def small(asked: Path, out: Path, *more: object) -> Result:
    return run("--prompts", asked, "--out", out, *SMALL, *SIZE, *more)


def command(asked: Path, out: Path, *more: str) -> list[str]:
    code = "import sys; sys.modules['matplotlib'] = None; from adaptive_middleware.cli import main; main()"
    plain = ("--prompts", asked, "--out", out, *SMALL, *SIZE, "--concurrency", 2, "--json", *more)
    return [sys.executable, "-c", code, "calibrate", *map(str, plain)]


def killed_at(asked: Path, out: Path, lines: int, calls: Path, *more: str) -> None:
    """Run the real command and kill it, -9, once its journal has so many lines."""
    journal = out / "journal.jsonl"
    environment = {**os.environ, "LUCK_CALLS": str(calls)}
    with subprocess.Popen(
        command(asked, out, *more), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    ) as running:
        while running.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
                running.send_signal(signal.SIGKILL)
                break
        assert running.wait() == -signal.SIGKILL


@pytest.mark.timeout(600)  # four processes, each loading scikit-learn
def test_killed_again_and_again_it_ends_with_the_same_bytes_and_repeats_only_what_was_under_way(
    asked: Path, tmp_path: Path
) -> None:
    whole = small(asked, tmp_path / "whole", "--concurrency", 2, "--json")
    assert whole.exit_code == 0, whole.output
    calls = tmp_path / "calls"
    killed_at(asked, tmp_path / "killed", 12, calls)
    killed_at(asked, tmp_path / "killed", 75, calls, "--resume")
    environment = {**os.environ, "LUCK_CALLS": str(calls)}
    last = subprocess.run(
        command(asked, tmp_path / "killed", "--resume"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(last.stdout) == json.loads(whole.stdout)
    for name in FILES:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    lines = [
        json.loads(line) for line in (tmp_path / "killed" / "journal.jsonl").read_bytes().splitlines()[1:]
    ]
    units = [line["unit"] for line in lines]
    assert len(units) == len(set(units))
    drawn = sum("answers" in line for line in lines)
    assert drawn <= calls.read_text().count("x") <= drawn + 2 * 2  # two kills, two problems at once


def test_the_lab_pair_is_calibrated_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(calibrate_run, "_draw", DRAW)
    monkeypatch.setattr(
        pictures, "calibration_report", lambda out, **parts: drawn.append({"out": out, **parts})
    )
    rows = [
        {"id": story.id, "question": story.question, "answer": story.answer, "level": story.level}
        for story, _ in zip(stories("calibration", levels=(1, 2, 3, 4)), range(14), strict=False)
    ]
    (tmp_path / "lab.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    sizes = ("--answers", 2, "--prefixes", 1, "--rollouts", 2)
    done = run(
        "--prompts",
        tmp_path / "lab.jsonl",
        "--out",
        tmp_path / "out",
        "--sampler",
        "lab",
        "--prm",
        "lab",
        *sizes,
    )
    assert done.exit_code == 0, done.output
    assert "9 fitted" in done.stdout or "10 fitted" in done.stdout
    assert "10 % bound" in done.stdout
    shipped = bundle.load(ROOT / "adaptive_middleware" / "lab" / "calibration.json")
    made = bundle.load(tmp_path / "out" / "calibration.json", prm=shipped.prm, generator=shipped.generator)
    assert made.metrics["fit.problems"] == 10
    (report,) = drawn
    assert (report["out"], report["calibration"]) == (tmp_path / "out", made.calibration)
    assert {example.group for example in report["held_out"]}.isdisjoint(_groups(tmp_path / "out" / FILES[1]))
    assert ("PRM", shipped.prm) in report["facts"]


def _groups(file: Path) -> set[str]:
    return {example.group for example in read(file)}


def test_the_summary_names_the_models_the_counts_and_the_files(asked: Path, tmp_path: Path) -> None:
    done = small(asked, tmp_path / "out")
    assert done.exit_code == 0, done.output
    for part in (
        "hunch",
        "luck",
        "21 fitted, 9 held out, of 30 prompts",
        "90 drawn",
        "cut by their limit (wrong)",
    ):
        assert part in done.stdout
    for name in FILES:
        assert name in done.stdout
    assert f"calibration: {tmp_path / 'out' / 'calibration.json'}" in done.stdout


def test_a_dry_run_prints_the_cost_and_starts_nothing(asked: Path, tmp_path: Path) -> None:
    dry = small(asked, tmp_path / "out", "--dry-run", "--budget-tokens", 5000)
    assert dry.exit_code == 0, dry.output
    assert (
        "150 calls for 480 answers and continuations" in dry.stdout
    )  # 3, 1 more, and 3 cuts x 4, for 30 prompts
    assert "1,440 generated tokens" in dry.stdout
    assert "reckoned as if it could" in dry.stdout
    assert "the budget ends it at 5,000 tokens" in dry.stdout
    assert "Nothing was started." in dry.stdout
    assert not (tmp_path / "out").exists()


def test_a_dry_run_reckons_with_what_is_journalled(asked: Path, tmp_path: Path) -> None:
    assert small(asked, tmp_path / "out").exit_code == 0
    told = json.loads(small(asked, tmp_path / "out", "--dry-run", "--json").stdout)
    assert (told["prompts"], told["finished"], told["calls"], told["expected_tokens"]) == (30, 30, 0, 0)
    assert (
        "expected, from the finished problems: 0 tokens" in small(asked, tmp_path / "out", "--dry-run").stdout
    )


def test_a_dry_run_of_a_recording_and_one_without_sampler(tmp_path: Path, asked: Path) -> None:
    write_recording(tmp_path / "r.jsonl.gz", recorded(3))
    told = json.loads(
        run("--prompts", tmp_path / "r.jsonl.gz", "--out", tmp_path, "--dry-run", "--json").stdout
    )
    assert (told["prompts"], told["generations"]) == (3, 0)
    assert "nothing is drawn" in told["notes"][0]
    refused = run("--prompts", asked, "--out", tmp_path, "--dry-run")
    assert refused.exit_code == 1
    assert "no sampler" in str(refused.exception)


def test_a_recording_is_calibrated_without_a_sampler(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.jsonl.gz", recorded(30))
    done = run(
        "--prompts",
        tmp_path / "r.jsonl.gz",
        "--out",
        tmp_path / "out",
        "--prm-id",
        "my/prm",
        "--generator-id",
        "my/model",
    )
    assert done.exit_code == 0, done.output
    assert bundle.load(tmp_path / "out" / "calibration.json").generator == "my/model"


def test_settings_of_a_file_are_used_and_options_go_before_them(asked: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "sampler: {kind: python, target: 'tests.collect.world:luck', max_tokens: 3}\n"
        "prm: {kind: python, target: 'tests.collect.world:hunch'}\nanswers: 5\nrollouts: 4\nprefixes: 0\n"
    )
    done = run(
        "--prompts",
        asked,
        "--out",
        tmp_path / "out",
        "--config",
        tmp_path / "c.yaml",
        "--answers",
        4,
        "--json",
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["counts"]["answers"], report["settings"]["prefixes"]) == (120, 0)


def test_an_existing_collection_is_refused_with_the_two_ways_on(asked: Path, tmp_path: Path) -> None:
    assert small(asked, tmp_path / "out").exit_code == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir() if file.is_file()}
    refused = small(asked, tmp_path / "out")
    assert refused.exit_code == 1
    assert "go on with it by --resume, or choose another --out" in str(refused.exception)
    other = small(asked, tmp_path / "out", "--resume", "--seed", 1)
    assert "seed: 0 there, 1 now" in str(other.exception)
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir() if file.is_file()}


def test_an_interrupt_is_one_line_and_status_130(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_ordered: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrate_run, "run", interrupted)
    done = small(asked, tmp_path / "out")
    assert done.exit_code == 130
    assert "go on with --resume" in done.stderr


def test_without_matplotlib_the_pictures_are_left_out_with_the_way_to_get_them(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_run, "_draw", DRAW)
    for name in [name for name in sys.modules if name.startswith("adaptive_middleware.pictures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = small(asked, tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    assert "no pictures were drawn" in done.stderr
    assert "pip install 'adaptive-middleware[report]'" in done.stderr
    assert (tmp_path / "out" / "calibration.json").exists()


def test_options_become_settings() -> None:
    assert given({"sampler": None, "prefill": False, "answers": None}) == {}
    assert given({"sampler": "lab", "temperature": 0.5})["sampler"] == {"kind": "lab", "temperature": 0.5}
    assert given({"sampler": "org/name"})["sampler"] == {"kind": "transformers", "model": "org/name"}
    assert given({"sampler": "a.b:c"})["sampler"] == {"kind": "python", "target": "a.b:c"}
    assert given({"prefill": True, "max_tokens": 5})["sampler"] == {"max_tokens": 5, "prefill": True}
    assert given({"prm": "lab", "check": "unit-tests", "generator_id": "g"}) == {
        "prm": {"kind": "lab"},
        "check": {"kind": "unit-tests"},
        "generator": "g",
    }


def test_progress_is_a_plain_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 12.0, 13.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Watcher() as watcher:
        watcher.tell("the last line was torn [20 bytes]")
        for done in (1, 3, 4):
            watcher.progress(done, 1, 12, Spent(1000, 500, 70))
    assert capsys.readouterr().err.splitlines() == [
        "note: the last line was torn [20 bytes]",
        "3 of 12 problems, 1,500 tokens, 70 of the PRM, 1 not finished, about 36 s left",
    ]


def test_progress_is_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminal(**options: Any) -> Console:
        return Console(**options, force_terminal=True, width=120)

    monkeypatch.setattr(calibrate_shown, "Console", terminal)
    with Watcher() as watcher:
        watcher.progress(3, 0, 12, Spent(1000, 500, 70))
        watcher._bar.refresh()
    shown = capsys.readouterr().err
    assert "3/12" in shown
    assert "1,500 tokens, 70 of the PRM" in shown
