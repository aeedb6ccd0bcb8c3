"""The tier without namespaces: what it is told, and that it holds where sandlock is installed."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox import sandlock as tier
from adaptive_middleware.verify.sandbox.choose import probe
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.launch import Launch
from adaptive_middleware.verify.sandbox.limits import Ended, Limits
from adaptive_middleware.verify.sandbox.sandlock import confined, sandlock
from adaptive_middleware.verify.sandbox.unsafe import Unconfined, in_folder

LIMITS = Limits(seconds=2, readable=("/opt/tools",))


def test_a_guest_sees_programs_and_a_folder_of_its_own() -> None:
    given = confined("/opt/python/bin/python3", LIMITS, "/tmp/box")  # noqa: S108 - a name
    assert given["fs_writable"] == ["/tmp/box"]  # noqa: S108
    readable = given["fs_readable"]
    assert isinstance(readable, list)
    assert {"/usr", "/opt/python", "/opt/tools"} <= set(readable)
    assert not {"/", "/etc", "/proc", "/root", "/tmp"} & set(readable)  # noqa: S108
    assert (given["max_disk"], given["max_processes"]) == (2**24, 8)
    command = given["command"]
    assert isinstance(command, list)
    assert command[:3] == ["/usr/bin/prlimit", f"--as={2**29}", "--cpu=2:3"]


def test_sandlock_that_is_not_installed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier, "find_spec", lambda _: None)
    with pytest.raises(SandboxError, match="sandlock is not installed: pip install"):
        sandlock().open(LIMITS)


def test_a_process_of_ours_confines_itself_and_its_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "sandlock" / "__init__.py"
    monkeypatch.setattr(tier, "find_spec", lambda name: ModuleSpec(name, None, origin=str(package)))
    monkeypatch.setattr(tier, "interpreters", lambda: ["/usr/bin/python3"])
    started: list[Launch] = []

    def keep(launch: Launch, limits: Limits) -> Unconfined:
        started.append(launch)
        return in_folder(
            Launch((sys.executable, "-c", "print(1)"), sys.executable, folder=launch.folder), limits
        )

    monkeypatch.setattr(tier, "in_folder", keep)
    session = sandlock().open(LIMITS)
    given = json.loads(started[0].command[-1])
    assert (given["path"], given["user"]) == (str(tmp_path / "site"), 65534)
    assert Path(session.folder).is_dir()
    session.close()
    assert not Path(session.folder).exists()
    folder = tmp_path / "box"
    folder.mkdir()
    with pytest.raises(SandboxError):
        in_folder(Launch(("/nowhere/python",), "/nowhere/python", folder=str(folder)), LIMITS)
    assert not folder.exists()


def test_sandlock_holds() -> None:
    pytest.importorskip("sandlock")
    if not probe("sandlock").works:
        pytest.skip(f"sandlock does not work here: {probe('sandlock').why}")
    session = sandlock().open(Limits(seconds=2))
    assert session.ask(to_bytes(["load", "import os, ctypes\ndef f(): return os.getuid() == 0"]), 8) == b"VN"
    assert session.ask(to_bytes(["run", "f", []]), 8) == b"VF"
    ended = session.ask(to_bytes(["load", "import ctypes\nctypes.string_at(0)"]), 8)
    session.close()
    assert isinstance(ended, Ended)
    assert ended.how == "crashed"
