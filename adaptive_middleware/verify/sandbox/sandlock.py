"""The tier for machines that forbid user namespaces: sandlock, by Landlock and seccomp alone.

A small process of ours gives its rights away, confines itself by sandlock and starts the guest. The program sees `/usr` and
what `Limits.readable` names, read-only, and a folder of its own, which is removed afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.launch import ENVIRONMENT, FLAGS, Launch, interpreters, limited
from adaptive_middleware.verify.sandbox.limits import Limits
from adaptive_middleware.verify.sandbox.unsafe import Unconfined, in_folder, own_folder

_CONFINE = """
import ctypes, json, os, sys
given = json.loads(sys.argv[1])
sys.path.insert(0, given.pop("path"))
from sandlock import BranchAction, Sandbox
command, user = given.pop("command"), given.pop("user")
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
libc = ctypes.CDLL(None)
libc.prctl(4, 1, 0, 0, 0)
libc.prctl(1, 9, 0, 0, 0)
libc.prctl(36, 1, 0, 0, 0)
ended = Sandbox(**given, on_exit=BranchAction.ABORT, clean_env=True, no_coredump=True).popen(command).wait()
for _ in range(99):
    left = [int(pid) for task in os.listdir("/proc/self/task") for pid in open(f"/proc/self/task/{task}/children").read().split()]
    for pid in left:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    if not left:
        break
os._exit(128 + ended.signal if ended.signal > 0 else 137 if ended.exit_code < 0 else ended.exit_code)
"""
"""PR_SET_DUMPABLE, which a change of user takes away and sandlock needs; PR_SET_PDEATHSIG to SIGKILL;
PR_SET_CHILD_SUBREAPER, so that what the guest leaves behind comes back to this process, which then ends it."""
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class sandlock:  # noqa: N801 - tiers read as words
    """The `Sandbox` port by sandlock. Needs Linux with Landlock ABI 6 (6.12), x86_64 or aarch64."""

    name: str = field(default="sandlock", init=False)

    def open(self, limits: Limits) -> Unconfined:
        """See `Sandbox`. Raises `SandboxError` where sandlock, or a python3 that everybody may read, is missing."""
        found = find_spec("sandlock")
        interpreter = next(iter(interpreters()), None)
        if found is None or found.origin is None or interpreter is None:
            message = "sandlock is not installed: pip install 'adaptive-middleware[sandbox]'; and a python3 under /usr"
            raise SandboxError(message)
        folder = own_folder("box")
        Path(folder).chmod(0o777)
        given = {
            "path": str(Path(found.origin).parent.parent),
            "user": _NOBODY,
            **confined(interpreter, limits, folder),
        }
        command = (sys.executable, "-s", "-S", "-P", "-B", "-c", _CONFINE, json.dumps(given))
        return in_folder(Launch(command, interpreter, (), {"HOME": folder}, folder), limits)


def confined(interpreter: str, limits: Limits, folder: str) -> dict[str, object]:
    """What sandlock is told: the policy, and the command of the guest."""
    home = str(Path(interpreter).parent.parent)
    devices = [name for name in ("/dev/null", "/dev/zero", "/dev/urandom") if os.path.exists(name)]  # noqa: PTH110
    return {
        "command": [*limited(limits), interpreter, *FLAGS],
        "fs_readable": ["/usr", "/lib", "/lib64", "/bin", home, *devices, *limits.readable],
        "fs_writable": [folder],
        "workdir": folder,
        "cwd": folder,
        "max_disk": limits.file_mb * 2**20,
        "max_processes": limits.processes,
        "env": {**ENVIRONMENT, "HOME": folder},
    }
