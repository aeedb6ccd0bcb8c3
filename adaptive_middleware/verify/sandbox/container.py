"""The tier for machines that have podman and nothing better: a container without an image, on this machine's own `/usr`.

The program sees `/usr` and what `Limits.readable` names, read-only, and an empty `/box` of `Limits.file_mb` in memory; no
network, no capabilities, user 65534, the same refused system calls as in bubblewrap, and control groups around memory
and processes. podman's client is not the container's parent: who ends a container must end it by its own process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.launch import ENVIRONMENT, FLAGS, Launch, interpreters, limited
from adaptive_middleware.verify.sandbox.limits import Ended, Limits
from adaptive_middleware.verify.sandbox.rooted import rooted
from adaptive_middleware.verify.sandbox.seccomp import profile
from adaptive_middleware.verify.sandbox.unsafe import Unconfined, in_folder, own_folder

_KEPT = ("PATH", "HOME", "XDG_RUNTIME_DIR")
"""What podman's client itself needs of the environment; none of it goes into the container."""
_OWN = 8
"""Tasks of the runtime that starts the container, which count as its processes for that moment."""


@dataclass(frozen=True, slots=True)
class container:  # noqa: N801 - tiers read as words
    """The `Sandbox` port by podman: `program` (found where left out)."""

    program: str = ""
    name: str = field(default="container", init=False)

    def open(self, limits: Limits) -> Contained:
        """See `Sandbox`. Raises `SandboxError` where podman, or a python3 that everybody may read, is missing."""
        program, interpreter = self.program or shutil.which("podman"), next(iter(interpreters()), None)
        if program is None or interpreter is None:
            message = (
                "podman is not installed: apt install podman; and a python3 that all may read under /usr"
            )
            raise SandboxError(message)
        folder = Path(own_folder("container"))
        rooted(folder)
        (folder / "seccomp.json").write_text(json.dumps(profile()))
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        command = (
            program,
            "run",
            *_confined(folder, limits, interpreter),
            *limited(limits),
            interpreter,
            *FLAGS,
        )
        started = Launch(command, interpreter, (), environment, str(folder), first=str(folder / "pid"))
        return Contained(in_folder(started, limits), program)


def _confined(folder: Path, limits: Limits, interpreter: str) -> Iterator[str]:
    """Words of `podman run` before the program."""
    yield from (
        "--rm",
        "--interactive",
        "--log-driver=none",
        f"--name={folder.name}",
        f"--pidfile={folder}/pid",
    )
    yield from ("--network=none", "--no-hosts", "--passwd=false", "--hostname=sandbox", "--http-proxy=false")
    yield from ("--read-only", "--read-only-tmpfs=false", "--shm-size=65536", "--workdir=/box")
    yield f"--tmpfs=/box:size={limits.file_mb * 2**20},mode=1777,notmpcopyup"
    yield from ("--user=65534:65534", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    yield f"--security-opt=seccomp={folder}/seccomp.json"
    yield from (f"--pids-limit={limits.processes + _OWN}", f"--memory={2 * limits.memory_mb}m")
    yield from (
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=1024:1024",
    )  # podman's own may be more than is allowed here
    for name, value in {**ENVIRONMENT, "HOME": "/box"}.items():
        yield f"--env={name}={value}"
    home = str(Path(interpreter).parent.parent)
    for shown in dict.fromkeys(["/usr", *([] if home.startswith("/usr") else [home]), *limits.readable]):
        yield f"--volume={shown}:{shown}:ro"
    yield from ("--rootfs", f"{folder}/root")


@dataclass(frozen=True, slots=True)
class Contained:
    """The `Session` of a container, which podman is told to remove, too."""

    client: Unconfined
    program: str

    def send(self, request: bytes) -> None:
        """See `Session`."""
        self.client.send(request)

    def receive(self, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.client.receive(seconds)

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.client.ask(request, seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:
        """See `Session`."""
        return self.client.finish(request, seconds)

    def alive(self) -> bool:
        """See `Session`."""
        return self.client.alive()

    def close(self) -> None:
        """See `Session`."""
        self.client.child.close()
        name = Path(self.client.folder).name
        subprocess.run(  # noqa: S603 - podman
            [self.program, "rm", "--force", "--time=0", "--ignore", name], capture_output=True, check=False
        )
        self.client.close()
