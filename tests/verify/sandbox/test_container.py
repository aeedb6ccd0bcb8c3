"""The tier of containers: what podman is told, that the container ends with its session, and that it holds where it works."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request
from adaptive_middleware.verify.sandbox import container as tier
from adaptive_middleware.verify.sandbox.choose import probe, sandbox
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.container import container
from adaptive_middleware.verify.sandbox.launch import BOOT, Launch
from adaptive_middleware.verify.sandbox.limits import Ended, Limits
from adaptive_middleware.verify.sandbox.unsafe import Unconfined, in_folder
from adaptive_middleware.verify.unit_tests import unit_tests

LIMITS = Limits(seconds=2, readable=("/opt/tools",))


def podman(folder: Path) -> str:
    """A podman that writes down what it is told."""
    program = folder / "podman"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder}/told\n')
    program.chmod(0o755)
    return str(program)


def test_podman_is_told_to_show_and_to_allow_nothing_more_than_a_program_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Launch] = []

    def guest(launch: Launch, limits: Limits) -> Unconfined:
        started.append(launch)
        own = Launch((sys.executable, "-c", BOOT), sys.executable, folder=launch.folder)
        return in_folder(own, limits)

    monkeypatch.setattr(tier, "in_folder", guest)
    monkeypatch.setattr(tier, "interpreters", lambda: ["/opt/python/bin/python3"])
    monkeypatch.setenv("ADAPTIVE_SECRET", "x")
    session = container(podman(tmp_path)).open(LIMITS)
    (made,) = started
    folder = made.folder
    expected = {
        "--rm", "--network=none", "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--user=65534:65534",
        "--security-opt=no-new-privileges", f"--security-opt=seccomp={folder}/seccomp.json", "--passwd=false",
        "--pids-limit=16", "--memory=1024m", "--tmpfs=/box:size=16777216,mode=1777,notmpcopyup",
        "--volume=/usr:/usr:ro", "--volume=/opt/python:/opt/python:ro", "--volume=/opt/tools:/opt/tools:ro",
        f"--as={2**29}", "--log-driver=none", f"--pidfile={folder}/pid",
    }  # fmt: skip
    assert expected <= set(made.command)
    assert (made.first, "ADAPTIVE_SECRET" in made.environment) == (f"{folder}/pid", False)
    session.send(to_bytes(["load", "x = 1"]))
    assert (session.receive(9), session.alive()) == (b"VN", True)
    assert isinstance(session.finish(to_bytes(["program", "print(1)", b""]), 9), Ended)
    session.close()
    session.close()
    assert not Path(folder).exists()
    assert (tmp_path / "told").read_text().splitlines() == [
        f"rm --force --time=0 --ignore {Path(folder).name}"
    ] * 2


def test_podman_that_is_not_installed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SandboxError, match="podman is not installed: apt install podman"):
        container().open(LIMITS)


def test_a_container_holds() -> None:
    if not probe("container").works:
        pytest.skip(f"podman does not work here: {probe('container').why}")
    right, cheat = "def double(x): return 2 * x", "import os\nos._exit(0)"
    slow = "open('/box/x', 'w').write('y')\nwhile True: pass"
    verifier = unit_tests("assert double(2) == 4", seconds=1, where=sandbox("container"))
    found = verifier.verify(Request(""), [Answer((code,)) for code in (right, cheat, slow)])
    verifier.lasting.close()
    assert [one.kind for one in found] == ["pass", "no_result", "timeout"]
    session = container().open(Limits(seconds=2))
    assert session.ask(to_bytes(["load", "x = 1"]), 9) == b"VN"
    first = Path(session.client.folder, "pid").read_text()
    session.close()
    assert not Path("/proc", first, "root").is_dir() or os.getpid() == int(first)
