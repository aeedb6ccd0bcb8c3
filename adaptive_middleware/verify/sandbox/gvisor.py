"""The stronger tier: gVisor, a kernel of its own between the program and this machine's, for those who can wait for it.

The program sees `/usr` and what `Limits.readable` names, read-only, and an empty `/box` of `Limits.file_mb` in memory; no
network, no file of the machine beside those. gVisor itself runs without rights, as nobody where it is started by root.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.bwrap import without_rights
from adaptive_middleware.verify.sandbox.launch import ENVIRONMENT, FLAGS, Launch, interpreters
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.sandbox.rooted import rooted
from adaptive_middleware.verify.sandbox.seccomp import profile
from adaptive_middleware.verify.sandbox.unsafe import Unconfined, in_folder, own_folder

_NOBODY = 65534
_OWN = 8
"""Processes of gVisor itself: runsc twice, its gofer, its kernel, the first stub, and one that is about to end."""


@dataclass(frozen=True, slots=True)
class gvisor:  # noqa: N801 - tiers read as words
    """The `Sandbox` port by gVisor's `runsc` (found where left out), on one of its platforms; `ptrace` needs nothing."""

    program: str = ""
    platform: str = "ptrace"
    name: str = field(default="gvisor", init=False)

    def open(self, limits: Limits) -> Unconfined:
        """See `Sandbox`. Raises `SandboxError` where runsc, setpriv (as root) or a python3 that all may read is missing."""
        program, interpreter = self.program or shutil.which("runsc"), next(iter(interpreters()), None)
        if program is None or interpreter is None:
            message = "gVisor's runsc is not installed: apt install runsc; and a python3 that all may read under /usr"
            raise SandboxError(message)
        first = without_rights() if os.geteuid() == 0 else ()
        folder = Path(own_folder("gvisor"))
        bundled(folder, interpreter, limits)
        command = (
            *first, program, f"--root={folder}/state", "--rootless=true", f"--platform={self.platform}",
            "--network=none", "--ignore-cgroups", "--oci-seccomp=true", "run", f"--bundle={folder}", folder.name,
        )  # fmt: skip
        return in_folder(
            Launch(command, interpreter, folder=str(folder), processes=limits.processes + _OWN), limits
        )


def bundled(folder: Path, interpreter: str, limits: Limits) -> None:
    """Write what runsc reads: the empty root of the file system, and what is done in it."""
    root = rooted(folder)
    (folder / "state").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "state", _NOBODY, _NOBODY)
    (folder / "config.json").write_text(json.dumps(specification(root, interpreter, limits)))


def specification(root: Path, interpreter: str, limits: Limits) -> dict[str, object]:
    """The container by the words of the OCI runtime specification."""
    environment = {**ENVIRONMENT, "HOME": "/box"}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": _NOBODY, "gid": _NOBODY},
            "args": [interpreter, *FLAGS],
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": "/box",
            "capabilities": {},
            "rlimits": list(_limits(limits)),
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "sandbox",
        "mounts": list(_mounts(interpreter, limits)),
        "linux": {
            "namespaces": [{"type": one} for one in ("pid", "network", "ipc", "uts", "mount")],
            "seccomp": profile(),
        },
    }


def _limits(limits: Limits) -> Iterator[dict[str, object]]:
    cpu, memory, largest = max(1, round(limits.seconds)), limits.memory_mb * 2**20, limits.file_mb * 2**20
    most = {"AS": memory, "FSIZE": largest, "NOFILE": 64, "CORE": 0, "STACK": 2**24}
    for name, value in most.items():
        yield {"type": f"RLIMIT_{name}", "soft": value, "hard": value}
    yield {"type": "RLIMIT_CPU", "soft": cpu, "hard": cpu + 1}


def _mounts(interpreter: str, limits: Limits) -> Iterator[dict[str, object]]:
    home = str(Path(interpreter).parent.parent)
    shown = ["/usr", *([] if home.startswith("/usr") else [home]), *limits.readable]
    for place in dict.fromkeys(shown):
        yield {"destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"]}
    yield {"destination": "/proc", "type": "proc", "source": "proc"}
    for place in ("/dev", "/dev/shm", "/tmp"):  # noqa: S108 - in there
        yield _in_memory(place, 2**16, "0755")
    yield _in_memory("/box", limits.file_mb * 2**20, "1777")


def _in_memory(place: str, size: int, mode: str) -> dict[str, object]:
    return {
        "destination": place,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", f"size={size}", f"mode={mode}"],
    }
