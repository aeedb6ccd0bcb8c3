"""`solve` on a scripted model: what is solved, what it costs, and what is left after a kill."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.testing.fake_sse import Script, fake_sse, whole_reply
from tests.server.loopback import eventually

RIGHT, WRONG = (
    "```python\ndef double(x):\n    return 2 * x\n```",
    "```python\ndef double(x):\n    return x\n```",
)
FIXED = "strategy: best-of-n\n    policy: {kind: fixed, n: 4}\n    max_samples: 4\n    verifier: {kind: task-tests}"
STOPPING = "strategy: best-of-n\n    policy: {kind: optimal-stopping}\n    max_samples: 4\n    verifier: {kind: task-tests}"
BARE = ["--sandbox", "none", "--unsafe-no-sandbox"]
CHECKED = [*BARE, "--json"]


def tasks(folder: Path, n: int) -> Path:
    rows = [
        {"id": f"t{k}", "question": f"Task {k}: double(x).", "tests": "assert double(2) == 4"}
        for k in range(n)
    ]
    file = folder / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def config(folder: Path, url: str, policy: str) -> Path:
    file = folder / "solve.yaml"
    file.write_text(f"version: 1\nupstream: {{base_url: '{url}'}}\npolicies:\n  default:\n    {policy}\n")
    return file


def answers(says: Callable[[str, int], str]) -> Callable[[Mapping[str, Any]], Script]:
    """A model that says what `says` makes of the question and the number of the choice, eight tokens each."""
    numbers = count()

    def script(body: Mapping[str, Any]) -> Script:
        asked = body["messages"][-1]["content"]
        n = body.get("n") or 1
        choices = [
            {
                "index": k,
                "message": {"role": "assistant", "content": says(asked, next(numbers))},
                "finish_reason": "stop",
            }
            for k in range(n)
        ]
        return [whole_reply({"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 8 * n}})]

    return script


def solved(folder: Path, url: str, policy: str, n: int, *options: str) -> tuple[int, str, str]:
    arguments = ["solve", str(tasks(folder, n)), "--config", str(config(folder, url, policy)), "--model", "m"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(folder / "out"), "--concurrency", "1", *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 1, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_a_verified_stop_solves_as_many_as_every_sample_does_with_fewer_tokens(tmp_path: Path) -> None:
    def says(_asked: str, number: int) -> str:
        return RIGHT if number % 2 else WRONG

    reports = []
    for name, policy in (("fixed", FIXED), ("stopping", STOPPING)):
        (tmp_path / name).mkdir()
        with fake_sse({"m": answers(says)}) as server:
            code, out, err = solved(tmp_path / name, server.url, policy, 3, *CHECKED)
        assert code == 0, err
        reports.append(json.loads(out))
    fixed, stopping = reports
    assert (fixed["solved"], stopping["solved"]) == (3, 3)
    assert (fixed["samples"], fixed["completion_tokens"]) == (12, 96)
    assert stopping["completion_tokens"] <= 48
    assert stopping["fixed_tokens"] == 96


def test_what_was_solved_is_in_the_files_as_other_tools_read_them(tmp_path: Path) -> None:
    with fake_sse({"m": answers(lambda asked, _: RIGHT if "Task 0" in asked else WRONG)}) as server:
        code, out, _ = solved(tmp_path, server.url, FIXED, 2, *BARE)
    assert code == 0
    assert "1  of 2 tasks solved (50.0%)" in out
    samples = [json.loads(line) for line in (tmp_path / "out/samples.jsonl").read_text().splitlines()]
    assert [one["task_id"] for one in samples] == ["t0", "t1"]
    names: dict[str, Any] = {}
    exec(samples[0]["completion"], names)  # noqa: S102 - the test's own text
    assert names["double"](4) == 8
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["tasks"], report["solved"], report["samples"]) == (2, 1, 8)


def test_an_answer_without_a_verifier_in_the_policy_is_checked_all_the_same(tmp_path: Path) -> None:
    vote = "strategy: best-of-n\n    policy: {kind: fixed, n: 3}\n    select: majority\n    max_samples: 3"
    with fake_sse({"m": answers(lambda asked, _: RIGHT if "Task 0" in asked else WRONG)}) as server:
        _, out, _ = solved(tmp_path, server.url, vote, 2, *CHECKED)
    assert json.loads(out)["solved"] == 1


def test_a_killed_run_goes_on_and_asks_no_finished_task_again(tmp_path: Path) -> None:
    asked: list[str] = []
    hold = threading.Event()

    def says(question: str, _: int) -> str:
        asked.append(question)
        if "Task 2" in question and len(asked) == 3:
            hold.wait(30)
        return RIGHT

    one = "strategy: pass-through"
    with fake_sse({"m": answers(says)}) as server:
        code = "from adaptive_middleware.cli import main; main()"
        files = [str(tasks(tmp_path, 4)), "--config", str(config(tmp_path, server.url, one))]
        options = ["--model", "m", "--out", str(tmp_path / "out"), "--concurrency", "1", *CHECKED]
        process = subprocess.Popen(
            [sys.executable, "-c", code, "solve", *files, *options], stderr=subprocess.DEVNULL
        )
        journal = tmp_path / "out/journal.jsonl"
        eventually(lambda: journal.exists() and journal.read_text().count('"unit"') == 2)
        process.kill()
        process.wait()
        hold.set()
        before = len(asked)
        refused = solved(tmp_path, server.url, one, 4, *CHECKED)
        done = solved(tmp_path, server.url, one, 4, *CHECKED, "--resume")
    assert refused[0] == 1
    assert "--resume" in refused[2]
    report = json.loads(done[1])
    assert (report["finished"], report["solved"]) == (4, 4)
    assert sorted(asked[before:]) == ["Task 2: double(x).", "Task 3: double(x)."]


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    with fake_sse({"m": answers(lambda *_: RIGHT)}) as server:
        solved(tmp_path, server.url, FIXED, 1, *CHECKED)
        code, _, err = solved(tmp_path, server.url, FIXED, 1, *CHECKED, "--resume", "--temperature", "0.1")
    assert code == 1
    assert "temperature: 0.8 there, 0.1 now" in err


def test_a_task_that_fails_is_left_for_a_later_run_and_the_others_are_kept(tmp_path: Path) -> None:
    broken = [True]

    def script(body: Mapping[str, Any]) -> Script:
        if broken[0] and "Task 1" in body["messages"][-1]["content"]:
            return [whole_reply({"error": {"message": "no such thing"}}, status=404)]
        return answers(lambda *_: RIGHT)(body)

    with fake_sse({"m": script}) as server:
        code, out, err = solved(tmp_path, server.url, FIXED, 3, *CHECKED)
        assert code == 1
        assert "t1: failed, left for a later run" in err
        assert [json.loads(out)[key] for key in ("finished", "solved", "failed")] == [2, 2, 1]
        broken[0] = False
        code, out, _ = solved(tmp_path, server.url, FIXED, 3, *CHECKED, "--resume")
    assert (code, json.loads(out)["solved"]) == (0, 3)


def test_an_endpoint_that_refuses_every_task_ends_the_run_with_its_words(tmp_path: Path) -> None:
    with fake_sse({"m": [whole_reply({"error": {"message": "who are you?"}}, status=401)]}) as server:
        code, _, err = solved(tmp_path, server.url, FIXED, 20, *CHECKED)
    assert code == 1
    assert "who are you?" in err
    assert (tmp_path / "out/journal.jsonl").read_text().count('"failed"') <= 6


def test_what_is_missing_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = tmp_path / "a.yaml"
    nobody.write_text("version: 1\npolicies: {default: {strategy: pass-through}}\n")
    arguments = ["solve", str(tasks(tmp_path, 1)), "--model", "m", "--out", str(tmp_path / "o"), *CHECKED]
    done = CliRunner().invoke(app, [*arguments, "--config", str(nobody)])
    assert "add `upstream:" in str(done.exception)
    monkeypatch.delenv("NO_KEY", raising=False)
    nobody.write_text("version: 1\nupstream: {base_url: 'http://127.0.0.1:9/v1', key_env: NO_KEY}\n")
    done = CliRunner().invoke(app, [*arguments, "--config", str(nobody)])
    assert "NO_KEY is not set" in str(done.exception)
    assert not (tmp_path / "o").exists()
