"""Processes seen from outside: each limit ends them under its own name, and this process is never in the way of harm.

Run without a sandbox everywhere, and in bubblewrap where it works.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox import child
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.choose import probe
from adaptive_middleware.verify.sandbox.codec import from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.launch import Launch, _magic, boot, start
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox, Session
from adaptive_middleware.verify.sandbox.memory import resident_bytes
from adaptive_middleware.verify.sandbox.unsafe import unsafe

LIMITS = Limits(seconds=1, memory_mb=256, output_bytes=100_000)
Open = Callable[[Limits], Session]


@pytest.fixture(params=[unsafe, bwrap])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    made: Sandbox = request.param()
    if made.name == "bwrap" and not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    sessions = []

    def open_one(limits: Limits) -> Session:
        sessions.append(made.open(limits))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()
        session.close()


def ended(opened: Open, code: str, seconds: float = 10) -> Ended:
    session = opened(LIMITS)
    session.ask(to_bytes(["load", ""]), 10)
    found = session.ask(to_bytes(["load", code]), seconds)
    assert isinstance(found, Ended)
    return found


def test_a_guest_answers_one_request_after_the_other(opened: Open) -> None:
    session = opened(LIMITS)
    assert session.ask(to_bytes(["load", "def f(x): return x + 1"]), 5) == b"VN"
    for number in (1, 10**3000):
        answer = session.ask(to_bytes(["run", "f", [number]]), 5)
        assert isinstance(answer, bytes)
        assert from_bytes(answer[1:]) == number + 1


@pytest.mark.parametrize(
    ("code", "how", "status"),
    [
        ("raise SystemExit(0)", "ended", 0),
        ("import os; os._exit(3)", "ended", 3),
        ("while True: pass", "timeout", None),
        ("import ctypes; ctypes.string_at(0)", "crashed", None),
        ("while True: print('x' * 1000)", "output_limit", None),
        ("import os\nfor n in range(3, 64):\n    try: os.write(n, b'[' * 90000)\n    except OSError: pass", "output_limit", None),
    ],
)  # fmt: skip
def test_how_a_process_ended_is_known(opened: Open, code: str, how: str, status: int | None) -> None:
    found = ended(opened, code)
    assert found.how == how
    assert status is None or found.status == status


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "import os; os.kill(os.getpid(), 19)"])
def test_a_process_that_only_waits_is_ended_by_the_clock(opened: Open, code: str) -> None:
    assert ended(opened, code, 0.3) == Ended("timeout", -signal.SIGKILL, "no answer in time")


def test_a_process_that_ignores_the_limit_of_its_cpu_time_is_killed() -> None:
    session = unsafe().open(LIMITS)
    code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    found = session.ask(to_bytes(["load", code]), 30)
    session.close()
    assert isinstance(found, Ended)
    assert (found.how, found.detail) == ("timeout", "more than 1 s of CPU time")


def test_a_process_that_closes_every_pipe_is_ended_too() -> None:
    session = unsafe().open(LIMITS)
    found = session.ask(to_bytes(["load", "import os; os.closerange(0, 64)\nimport time; time.sleep(60)"]), 5)
    session.close()
    assert isinstance(found, Ended)
    assert (found.how, found.detail) == ("ended", "it closed its output")


def test_memory_of_all_processes_together_is_bounded(opened: Open) -> None:
    code = "import os, time\nfor _ in range(3):\n    if os.fork() == 0: break\nbig = b'x' * 100_000_000\ntime.sleep(60)"
    assert ended(opened, code).how == "memory"


def test_memory_of_one_process_is_an_error_of_its_own(opened: Open) -> None:
    answer = opened(LIMITS).ask(to_bytes(["load", "big = bytearray(2**31)"]), 5)
    assert isinstance(answer, bytes)
    assert from_bytes(answer[1:])[0] == "MemoryError"


def test_an_answer_that_is_too_long_ends_the_process(opened: Open) -> None:
    session = opened(LIMITS)
    session.ask(to_bytes(["load", "def f(): return 'x' * 10**6"]), 5)
    found = session.ask(to_bytes(["run", "f", []]), 5)
    assert isinstance(found, Ended)
    assert found.how == "output_limit"
    assert session.ask(to_bytes(["run", "f", []]), 5) == found


def test_a_long_request_reaches_a_guest_that_reads_slowly(opened: Open) -> None:
    session = opened(LIMITS)
    assert session.ask(to_bytes(["load", f"text = '{'x' * 10**6}'\ndef f(): return len(text)"]), 5) == b"VN"
    assert session.ask(to_bytes(["run", "f", []]), 5) == b"V" + to_bytes(10**6)


def test_a_program_s_output_status_and_errors_are_told(opened: Open) -> None:
    source = "import sys\nprint(input()[::-1])\nsys.stderr.write('note')\nsys.exit(int(input()))"
    found = opened(LIMITS).finish(to_bytes(["program", source, b"abc\n5\n"]), 5)
    assert (found.how, found.status, found.printed) == ("ended", 5, b"cba\n")
    found = opened(LIMITS).finish(
        to_bytes(["program", "import time\nprint('so far', flush=True)\ntime.sleep(60)", b""]), 1
    )
    assert (found.how, found.printed) == ("timeout", b"so far\n")


def test_a_command_s_output_and_status_are_told(opened: Open) -> None:
    found = opened(LIMITS).finish(to_bytes(["command", ["/bin/sh", "-c", "cat; exit 4"], b"typed", ""]), 5)
    assert (found.how, found.status, found.printed) == ("ended", 4, b"typed")


def test_the_environment_of_a_guest_is_its_own(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    session = opened(LIMITS)
    session.ask(to_bytes(["load", "import os\ndef f(): return sorted(os.environ), hash('x')"]), 5)
    answer = session.ask(to_bytes(["run", "f", []]), 5)
    assert isinstance(answer, bytes)
    names, hashed = from_bytes(answer[1:])
    assert "OPENAI_API_KEY" not in names
    again = opened(LIMITS)
    again.ask(to_bytes(["load", "def f(): return hash('x')"]), 5)
    assert again.ask(to_bytes(["run", "f", []]), 5) == b"V" + to_bytes(hashed)


def test_what_ends_before_it_is_ready_is_no_fault_of_the_code() -> None:
    session = start(Launch(("/bin/sh", "-c", "echo no namespaces >&2; exit 1"), "/bin/sh"), LIMITS)
    found = session.ask(to_bytes(["load", ""]), 5)
    assert isinstance(found, Ended)
    assert (found.how, found.status) == ("broken", 1)
    assert "no namespaces" in found.detail
    assert session.finish(b"", 5).how == "broken"
    session.close()


def test_a_command_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(SandboxError, match="/nowhere/program cannot be started"):
        start(Launch(("/nowhere/program",), "/nowhere/python"), LIMITS)


def test_an_interpreter_of_another_version_is_sent_source() -> None:
    assert _magic("/nowhere/python") == ""
    assert boot("/nowhere/python")[8:9] == b"s"


def test_resident_memory_counts_descendants_and_is_nothing_for_nobody() -> None:
    assert resident_bytes(os.getpid()) > 2**20
    assert resident_bytes(2**30) == 0


def test_the_folder_of_an_unconfined_process_is_removed() -> None:
    session = unsafe().open(LIMITS)
    assert Path(session.folder).is_dir()
    session.close()
    assert not Path(session.folder).exists()


def test_signals_without_a_name_are_told_by_their_number() -> None:
    assert child._signal(signal.SIGSEGV) == "SIGSEGV"
    assert child._signal(200) == "signal 200"


def test_a_process_that_left_others_behind_is_closed_with_them(opened: Open) -> None:
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\ndef f(): return 1"
    session = opened(LIMITS)
    began = time.monotonic()
    session.ask(to_bytes(["load", code]), 5)
    session.close()
    assert time.monotonic() - began < 30
