"""The fast tier: what Monty computed is believed, everything else is run again elsewhere.

Scripted by a worker that runs Python here; the same promises are checked with the real one where it is installed.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Self

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.judge import Asserts, Judge
from adaptive_middleware.verify.sandbox import choose
from adaptive_middleware.verify.sandbox import monty as tier
from adaptive_middleware.verify.sandbox.choose import Probe, sandbox
from adaptive_middleware.verify.sandbox.codec import Unsupported, to_bytes
from adaptive_middleware.verify.sandbox.interpreter import Elsewhere, Interpreter
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Session
from adaptive_middleware.verify.sandbox.monty import MontySession, Nowhere, monty
from adaptive_middleware.verify.sandbox.unsafe import unsafe

LIMITS = Limits(seconds=1, memory_mb=256)


class MontyError(Exception):
    pass


class MontyRuntimeError(MontyError):
    def exception(self) -> BaseException:
        return self.__cause__ or self


class Worker:
    """Runs what it is fed here, without inheritance, as Monty does."""

    def __init__(self, **_: object) -> None:
        self.names: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.names.clear()

    def checkout(self, **_: object) -> "Worker":
        return Worker()

    def feed_run(self, code: str, *, inputs: dict[str, Any] | None, print_callback: Any) -> Any:
        print_callback("stdout", "")
        if "(Exception)" in code:
            raise MontyRuntimeError from NotImplementedError("inheritance")
        self.names.update(inputs or {})
        *before, last = code.strip().splitlines()
        try:
            if last[0] in " [t":
                exec("\n".join(before if last[0] != " " else [*before, last]), self.names)  # noqa: S102 - a script
                return eval(last, self.names) if last[0] != " " else None  # noqa: S307
            exec(code, self.names)  # noqa: S102
        except Exception as error:
            raise MontyRuntimeError from error
        return None


@pytest.fixture(params=["scripted", "real"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[monty]:
    if request.param == "real":
        pytest.importorskip("pydantic_monty")
    else:
        module: Any = ModuleType("pydantic_monty")
        module.__spec__ = sys.__spec__
        module.Monty, module.MontyError, module.MontyRuntimeError = Worker, MontyError, MontyRuntimeError
        monkeypatch.setitem(sys.modules, "pydantic_monty", module)
    made = monty(unsafe())
    yield made
    made.close()
    made.close()


@pytest.mark.parametrize(
    ("code", "tests", "kind", "here"),
    [
        ("def f(x):\n    return x + 1", "assert f(1) == 2", "pass", True),
        ("def f(x):\n    return {(1, -0.0): [x, {2}, b'x', None]}", "assert f(x=1) == {(1, 0.0): [1, {2}, b'x', None]}", "pass", True),
        ("n = 3\ndef f(x):\n    return n", "assert f(1) == n", "pass", True),
        ("def f(x):\n    return x", "assert f(1) == 2", "wrong", True),
        ("def f(x):\n    return f", "assert f(1)(1) is not None", "pass", False),
        ("def f(x):\n    return range(x)", "assert f(3) == range(3)", "pass", False),
        ("def f(x):\n    return set(range(x))", "assert f(2000) == set(range(2000))", "pass", False),
        ("def f(x):\n    return 1 / 0", "assert f(1) == 2", "error", False),
        ("class E(Exception):\n    pass\ndef f(x):\n    return x", "assert f(1) == 1", "pass", False),
        ("class C:\n    def __init__(self):\n        self.x = 4\n    def g(self):\n        return 5", "assert C().g() == 5", "pass", False),
        ("def f(x):\n    return x", "assert f(f) == 1", "unsupported", False),
        ("def g(x):\n    return x", "assert f(1) == 1", "error", True),
    ],
)  # fmt: skip
def test_what_monty_cannot_tell_is_told_elsewhere(
    fast: monty, monkeypatch: pytest.MonkeyPatch, code: str, *, tests: str, kind: str, here: bool
) -> None:
    sessions: list[MontySession] = []
    opened = monty.open

    def keep(self: monty, limits: Limits) -> MontySession:
        sessions.append(opened(self, limits))
        return sessions[-1]

    monkeypatch.setattr(monty, "open", keep)
    judge = Judge(fast, LIMITS)
    found = judge.asserts(code, Asserts(tests))
    judge.close()
    assert found.kind == kind
    assert (sessions[0]._there is None) == here


def test_programs_and_written_tests_need_another_sandbox(fast: monty) -> None:
    session = fast.open(LIMITS)
    assert session.finish(to_bytes(["program", "print(5)", b""]), 5).printed == b"5\n"
    assert not session.alive()
    session.close()
    alone = Judge(monty(None, unsafe()), LIMITS)
    assert alone.asserts("def f(x):\n    return x", Asserts("assert f(1) == 1")).kind == "pass"
    found = alone.asserts("def f(x):\n    return x", Asserts("assert f(1) == 1", trusted=False))
    assert (found.kind, "no other sandbox works here" in found.detail) == ("unverified", True)
    assert alone.asserts("def f(x):\n    return range(x)", Asserts("assert f(1) == 1")).kind == "unverified"
    alone.close()


class Never:
    name = "never"

    def open(self, limits: Limits) -> Session:
        raise SandboxError("no namespaces")


def test_a_sandbox_that_is_not_there_says_so() -> None:
    nowhere = tier._opened(Never(), LIMITS)
    assert isinstance(nowhere, Nowhere)
    nowhere.send(b"")
    end = Ended("broken", detail="no namespaces")
    assert (nowhere.ask(b"", 1), nowhere.finish(b"", 1), nowhere.alive()) == (end, end, False)
    nowhere.close()


def test_monty_that_is_not_installed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier, "find_spec", lambda _: None)
    with pytest.raises(SandboxError, match="pip install"):
        monty().open(LIMITS)


def test_names_that_are_no_names_are_not_asked_for(fast: monty) -> None:
    fast.open(LIMITS).close()
    interpreter = Interpreter(fast._worker(LIMITS))
    for request in (
        ["names", ["__import__('os')"]],
        ["load", "class"],
        ["attribute", 1, "x"],
        ["call", "x" * 2**15],
    ):
        with pytest.raises(Elsewhere):
            interpreter.answer(to_bytes(request))
    with pytest.raises(Unsupported):
        interpreter._refer(object())
    interpreter.close()


def test_monty_goes_before_the_best_other_and_stands_alone_where_there_is_none(
    fast: monty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "probe", lambda name: Probe(name, works=True))
    made = sandbox("monty")
    assert isinstance(made, monty)
    assert made.beyond is not None
    monkeypatch.setattr(choose, "probe", lambda name: Probe(name, works=False))
    assert sandbox("monty") == monty(None, unsafe())
    monkeypatch.setattr(choose, "find_spec", lambda _: True)
    assert sandbox() == monty(None, unsafe())
