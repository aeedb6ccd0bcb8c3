"""The tier with a kernel of its own: what runsc is told, and that it holds where runsc is installed."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request
from adaptive_middleware.verify.sandbox import gvisor as tier
from adaptive_middleware.verify.sandbox.choose import probe, sandbox
from adaptive_middleware.verify.sandbox.gvisor import bundled, gvisor, specification
from adaptive_middleware.verify.sandbox.launch import Launch
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.unit_tests import unit_tests

LIMITS = Limits(seconds=2, readable=("/opt/tools",))


def test_a_guest_sees_programs_and_a_small_folder_of_its_own() -> None:
    made = json.loads(json.dumps(specification(Path("/x/root"), "/opt/python/bin/python3", LIMITS)))
    shown = {one["destination"]: one["options"] for one in made["mounts"] if one["type"] == "bind"}
    assert shown == {place: ["rbind", "ro"] for place in ("/usr", "/opt/python", "/opt/tools")}
    sizes = {one["destination"]: one["options"][2] for one in made["mounts"] if one["type"] == "tmpfs"}
    assert sizes == {
        "/dev": "size=65536",
        "/dev/shm": "size=65536",  # noqa: S108 - in there
        "/tmp": "size=65536",  # noqa: S108 - in there
        "/box": "size=16777216",
    }
    process = made["process"]
    assert (process["user"]["uid"], process["capabilities"], process["noNewPrivileges"]) == (65534, {}, True)
    assert {one["type"]: (one["soft"], one["hard"]) for one in process["rlimits"]}["RLIMIT_CPU"] == (2, 3)
    assert made["root"]["readonly"] is True
    assert {one["type"] for one in made["linux"]["namespaces"]} >= {"network", "pid"}


@pytest.mark.parametrize("user", [0, 1000])
def test_gvisor_itself_runs_without_rights_and_its_folder_is_removed(
    user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    started: list[Launch] = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "chown", lambda *said: given.append(said[1:]))
    monkeypatch.setattr(tier, "without_rights", lambda: ("setpriv", "--reuid=65534"))
    monkeypatch.setattr(tier, "in_folder", lambda launch, _: started.append(launch))
    gvisor("/usr/bin/runsc").open(LIMITS)
    (made,) = started
    folder = Path(made.folder)
    assert (given, made.command[0]) == ([(65534, 65534)], "setpriv") if user == 0 else ([], "/usr/bin/runsc")
    assert {
        "--network=none",
        "--rootless=true",
        "--platform=ptrace",
        "--oci-seccomp=true",
        f"--root={folder}/state",
    } < set(made.command)
    assert (made.environment, made.processes) == ({}, LIMITS.processes + 8)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert (folder / "root" / "lib").readlink() == Path("usr/lib")
    assert json.loads((folder / "config.json").read_text())["root"]["path"] == f"{folder}/root"
    bundled(tmp_path, "/usr/bin/python3", LIMITS)
    assert sorted(one.name for one in (tmp_path / "root").iterdir()) == [
        "bin", "box", "dev", "etc", "lib", "lib64", "proc", "run", "sys", "usr",
    ]  # fmt: skip


def test_gvisor_that_is_not_installed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SandboxError, match="runsc is not installed: apt install runsc"):
        gvisor().open(LIMITS)
    monkeypatch.setattr(tier, "interpreters", list)
    with pytest.raises(SandboxError, match="a python3 that all may read"):
        gvisor("/usr/bin/runsc").open(LIMITS)


def test_gvisor_holds() -> None:
    if not probe("gvisor").works:
        pytest.skip(f"gVisor does not work here: {probe('gvisor').why}")
    right, cheat = "def double(x): return 2 * x", "import os\nos._exit(0)"
    crowd = "import os, time\nfor _ in range(60):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
    verifier = unit_tests("assert double(2) == 4", seconds=5, where=sandbox("gvisor"))
    found = verifier.verify(Request(""), [Answer((code,)) for code in (right, cheat, crowd)])
    verifier.lasting.close()
    assert [one.kind for one in found] == ["pass", "no_result", "crashed"]
    assert found[2].detail == "more than 8 processes"
