"""A verifier keeps its judge and started sandboxes from call to call: over threads, forks and copies, until it ends."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path, Request
from adaptive_middleware.verify import lasting as module
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.program_tests import program_tests
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.choose import probe
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox, Session
from adaptive_middleware.verify.sandbox.monty import monty
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.sandbox.warm import warm
from adaptive_middleware.verify.sandboxed_cases import sandboxed_cases
from adaptive_middleware.verify.unit_tests import unit_tests

RIGHT = Path(("def double(x): return 2 * x",))
LIMITS = Limits(seconds=10.0, memory_mb=1024)


class Counting:
    """`unsafe` that remembers what it started."""

    name = "counting"

    def __init__(self) -> None:
        self.opened: list[Session] = []

    def open(self, limits: Limits) -> Session:
        self.opened.append(unsafe().open(limits))
        return self.opened[-1]

    def alive(self) -> int:
        return sum(one.alive() for one in self.opened)


def passes(verifier: unit_tests) -> bool:
    (found,) = verifier.verify(Request("?"), [RIGHT])
    return found.passed is True


def settled(ready: Sandbox) -> None:
    """Wait until what was used has ended, and what replaces it has been started."""
    assert isinstance(ready, warm)
    ready._ender.submit(int).result()
    ready._starter.submit(int).result()


def test_the_next_call_finds_a_judge_and_started_sandboxes_and_close_ends_them() -> None:
    where, lasting = Counting(), Lasting(2)
    verifier = unit_tests("assert double(2) == 4", where=where, lasting=lasting)
    assert where.opened == []
    assert passes(verifier)
    judge = lasting.judge(where, LIMITS)
    settled(judge.sandbox)
    assert (len(where.opened), where.alive()) == (3, 2)  # answer and checker; the answer's place is taken
    assert passes(replace(verifier, runs=2))
    assert lasting.judge(where, LIMITS) is judge
    settled(judge.sandbox)
    assert where.alive() <= 3
    lasting.close()
    assert where.alive() == 0
    assert passes(verifier)
    lasting.close()
    assert where.alive() == 0


def test_programs_and_generated_cases_keep_theirs_too() -> None:
    where = Counting()
    with Lasting(1) as lasting:
        twice = program_tests((("2", "4"),), where=where, lasting=lasting)
        assert [one.kind for one in twice.verify(Request(""), [Path(("print(4)",))])] == ["pass"]
        cases = sandboxed_cases(where=where, lasting=lasting)
        assert cases.results(["def f(x): return x"], ["assert f(1) == 1"]) == [(True,)]
        assert where.alive() >= 1
    assert where.alive() == 0


def test_what_nobody_refers_to_any_more_ends() -> None:
    where = Counting()
    assert passes(unit_tests("assert double(2) == 4", where=where))
    gc.collect()
    for one in where.opened:
        while one.alive():  # the used one, by its thread
            threading.Event().wait(0.01)
    assert where.alive() == 0


def test_the_thread_of_a_call_may_end() -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    with Lasting() as lasting:
        verifier = unit_tests("assert double(2) == 4", where=bwrap(), lasting=lasting)
        found: list[bool] = []
        for _ in range(3):
            one = threading.Thread(target=lambda: found.append(passes(verifier)))
            one.start()
            one.join()
        assert found == [True, True, True]
        (kept,) = lasting.judge(verifier.where, LIMITS)._idle
        assert kept.alive()


def test_a_forked_process_begins_anew_and_ends_nothing_of_the_first() -> None:
    where, lasting = Counting(), Lasting(0)
    judge = lasting.judge(where, LIMITS)
    judge._idle.append(where.open(LIMITS))
    lasting._held = lasting._before[0] = replace(lasting._held, process=os.getppid())
    lasting.close()
    other = lasting.judge(where, LIMITS)
    assert other is not judge
    other._idle.append(where.open(LIMITS))
    del lasting
    gc.collect()
    assert [one.alive() for one in where.opened] == [True, False]
    judge.close()
    assert where.alive() == 0


FORKED = """
import os
from adaptive_middleware.types import Path, Request
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.unit_tests import unit_tests
verifier = unit_tests("assert double(2) == 4", where=unsafe())
def passes(): return verifier.verify(Request(""), [Path(("def double(x): return 2 * x",))])[0].passed is True
first = passes()
child = os.fork()
if child == 0:
    found = passes()
    verifier.lasting.close()
    os._exit(0 if found else 1)
print(first, os.waitpid(child, 0)[1], passes())
"""


def test_verifiers_work_on_both_sides_of_a_fork_and_are_quiet_at_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKED], capture_output=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"True 0 True\n", b"", 0)


def test_copies_begin_anew_and_a_verifier_is_still_a_plain_value() -> None:
    one = unit_tests("assert x", where=unsafe(), lasting=Lasting(3))
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):  # noqa: S301 - our own
        assert other == one
        assert hash(other) == hash(one)
        assert other.lasting is not one.lasting
        assert other.lasting._size == 3


def test_sandboxes_that_are_warm_already_stay_as_they_are_and_an_own_fast_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(monty, "close", lambda one: closed.append(one.name))
    with Lasting() as lasting, warm(unsafe(), LIMITS, 0) as ready:
        assert lasting.judge(ready, LIMITS).sandbox is ready
        given = monty(None, unsafe())
        assert lasting.judge(given, LIMITS).sandbox is given
        monkeypatch.setattr(module, "sandbox", lambda: monty(None, unsafe()))
        assert lasting.judge(None, LIMITS).sandbox.name == "monty"
    assert closed == ["monty"]


def test_where_no_sandbox_works_each_call_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Sandbox:
        message = "none works"
        raise SandboxError(message)

    monkeypatch.setattr(module, "sandbox", none)
    lasting = Lasting()
    for _ in range(2):
        with pytest.raises(SandboxError):
            lasting.judge(None, LIMITS)
    assert sandboxed_cases(lasting=lasting).results(["x = 1"], ["a", "b"]) == [(None, None)]
