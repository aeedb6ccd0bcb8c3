"""Limits that are looked at from outside: how many processes there are, and sandboxes whose first process is another one's."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.child import Child
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.container import container
from adaptive_middleware.verify.sandbox.gvisor import gvisor
from adaptive_middleware.verify.sandbox.launch import BOOT, Launch, start
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox
from adaptive_middleware.verify.sandbox.memory import named, processes, resident_bytes
from adaptive_middleware.verify.sandbox.unsafe import unsafe

LIMITS = Limits(seconds=5, memory_mb=256, processes=2)
SLEEP = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(60)"]


def guest(most: int = 0, first: str = "") -> Child:
    command = (sys.executable, "-s", "-S", "-P", "-B", "-c", BOOT)
    return start(Launch(command, sys.executable, processes=most, first=first), LIMITS)


def test_more_processes_than_are_allowed_end_the_sandbox() -> None:
    code = "import os, time\nfor _ in range(4):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
    session = guest(most=3)
    assert session.ask(to_bytes(["load", "x = 1"]), 9) == b"VN"
    found = session.ask(to_bytes(["load", code]), 9)
    session.close()
    assert isinstance(found, Ended)
    assert (found.how, found.detail) == ("crashed", "more than 2 processes")
    assert processes(os.getpid()) >= 1
    assert processes(2**30) == 1


def sleeper(arguments: list[str]) -> subprocess.Popen[bytes]:
    other = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    return other


def test_the_named_first_process_is_watched_and_ended(tmp_path: Path) -> None:
    large = "import time\nkept = b'x' * 400_000_000\nprint(flush=True)\ntime.sleep(60)"
    with sleeper([sys.executable, "-S", "-c", large]) as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        session = guest(first=str(tmp_path / "pid"))
        found = session.ask(to_bytes(["load", "import time\ntime.sleep(60)"]), 9)
        assert isinstance(found, Ended)
        assert (found.how, other.wait(9)) == ("memory", -9)
        session.close()


def test_a_named_process_is_left_alone_where_its_client_has_ended(tmp_path: Path) -> None:
    with sleeper(SLEEP) as other:
        (tmp_path / "pid").write_text(str(other.pid))
        session = guest(first=str(tmp_path / "pid"))
        session._process.kill()
        session._process.wait()
        session.close()
        assert other.poll() is None
        other.kill()


def test_a_file_that_names_no_process_yet_names_none(tmp_path: Path) -> None:
    assert (named(""), named(str(tmp_path / "none"))) == (0, 0)
    (tmp_path / "empty").touch()
    assert named(str(tmp_path / "empty")) == 0


def test_files_without_a_name_count_as_memory_once() -> None:
    before = resident_bytes(os.getpid())
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 40_000_000)
        file.flush()
        again = os.dup(file.fileno())
        assert 39_000_000 < resident_bytes(os.getpid()) - before < 79_000_000
        os.close(again)


@pytest.mark.parametrize(
    "made", [unsafe(), gvisor("/bin/true"), container("/bin/true")], ids=lambda made: made.name
)
def test_a_folder_that_cannot_be_made_is_a_failure_of_the_sandbox(
    made: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(SandboxError, match=r"no folder for a sandbox can be made .*No space left"):
        made.open(LIMITS)
