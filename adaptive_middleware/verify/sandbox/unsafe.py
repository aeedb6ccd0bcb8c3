"""No sandbox: a process with resource limits and an environment of its own, for those who say that they want it.

The code can read your files, reach your network and leave processes behind. It is here for machines on which nothing else
works, such as a container that is thrown away.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, field

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.child import Child
from adaptive_middleware.verify.sandbox.launch import BOOT, ENVIRONMENT, Launch, start
from adaptive_middleware.verify.sandbox.limits import Ended, Limits

_LIMITED = """
import resource
for what, most in (("CPU", ({cpu}, {cpu} + 1)), ("FSIZE", ({file}, {file})), ("CORE", (0, 0)), ("AS", ({memory}, {memory}))):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + what), most)
    except (ValueError, OSError):
        pass
"""


@dataclass(frozen=True, slots=True)
class unsafe:  # noqa: N801 - tiers read as words
    """The `Sandbox` port without a sandbox: see the module. POSIX only."""

    name: str = field(default="none", init=False)

    def open(self, limits: Limits) -> Unconfined:
        """See `Sandbox`; the folder in which the process starts is removed when it is closed."""
        largest, memory = limits.file_mb * 2**20, limits.memory_mb * 2**20
        own = _LIMITED.format(cpu=max(1, round(limits.seconds)), file=largest, memory=memory)
        command = (sys.executable, "-s", "-S", "-P", "-B", "-c", own + BOOT)
        folder = own_folder("unsafe")
        environment = {**ENVIRONMENT, "HOME": folder}
        return in_folder(Launch(command, sys.executable, (), environment, folder), limits)


def own_folder(name: str) -> str:
    """A new folder for one sandbox. Raises `SandboxError` where none can be made: a full disk, no right to write."""
    try:
        return tempfile.mkdtemp(prefix=f"adaptive-{name}-")
    except OSError as error:
        message = f"no folder for a sandbox can be made ({error}): let TMPDIR name one that can be written"
        raise SandboxError(message) from error


def in_folder(launch: Launch, limits: Limits) -> Unconfined:
    """A started guest whose folder goes with it, or goes at once where it cannot be started."""
    try:
        return Unconfined(start(launch, limits), launch.folder)
    except SandboxError:
        shutil.rmtree(launch.folder, ignore_errors=True)
        raise


@dataclass(frozen=True, slots=True)
class Unconfined:
    """The `Session` of a process in a folder of its own."""

    child: Child
    folder: str

    def send(self, request: bytes) -> None:
        """See `Session`."""
        self.child.send(request)

    def receive(self, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.child.receive(seconds)

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.child.ask(request, seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:
        """See `Session`."""
        return self.child.finish(request, seconds)

    def alive(self) -> bool:
        """See `Session`."""
        return self.child.alive()

    def close(self) -> None:
        """See `Session`."""
        self.child.close()
        shutil.rmtree(self.folder, ignore_errors=True)
