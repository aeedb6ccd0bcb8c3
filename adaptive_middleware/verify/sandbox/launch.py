"""Starting a guest: its source goes in by standard input, so that a sandbox needs to see no file of this package."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.child import Child
from adaptive_middleware.verify.sandbox.limits import Limits

BOOT = (
    "import os,sys\n"
    "def take(n):\n"
    " b=b''\n"
    " while len(b)<n:b+=os.read(0,n-len(b)) or sys.exit()\n"
    " return b\n"
    "code=take(int(take(8)))\n"
    "import marshal\n"
    "exec(marshal.loads(code[1:]) if code[:1]==b'm' else code[1:])"
)
FLAGS = ("-s", "-S", "-P", "-B", "-c", BOOT)
"""What the guest's interpreter is started with; not -I, which would take its fixed PYTHONHASHSEED away."""
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
"""All of the environment that a guest sees, besides its HOME."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that starts a guest in an interpreter, and the file descriptors that it needs; they are closed once it has started.

    `processes` is how many there may be with the sandbox's own, which are counted; 0 where the sandbox limits them itself.
    `first` is a file that will name the first process of the sandbox, where that is no descendant of the command's.
    """

    command: tuple[str, ...]
    interpreter: str
    descriptors: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    processes: int = 0
    first: str = ""


def start(launch: Launch, limits: Limits) -> Child:
    """The started guest, with an empty environment. Raises `SandboxError` where the command cannot be started."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the command of a tier
            launch.command,
            env=dict(launch.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=launch.descriptors,
            start_new_session=True,
            cwd=launch.folder,
        )
    except OSError as error:
        message = f"{launch.command[0]} cannot be started ({error})"
        raise SandboxError(message) from error
    finally:
        for descriptor in launch.descriptors:
            os.close(descriptor)
    return Child(process, limits, boot(launch.interpreter), launch.processes, launch.first)


@cache
def boot(interpreter: str) -> bytes:
    """The guest and what it imports, as one script behind its length of 8 digits; compiled, where that can be read."""
    here, ours = Path(__file__).parent, _magic(interpreter) == MAGIC_NUMBER.hex()
    parts = ["import sys"]
    for name in ("codec", "checker", "replies", "guest"):
        source = (here / f"{name}.py").read_text("utf-8")
        compiled = (
            f"marshal.loads({marshal.dumps(compile(source, name + '.py', 'exec', dont_inherit=True))!r})"
        )
        full = f"{__package__}.{name}"
        parts += [
            f"module = sys.modules[{full!r}] = type(sys)({full!r})",
            f"exec({compiled if ours else repr(source)}, vars(module))",
        ]
    script = "\n".join([*parts, "module.serve()", "import os", "os._exit(0)"])
    data = b"m" + marshal.dumps(compile(script, "boot", "exec")) if ours else b"s" + script.encode()
    return b"%08d" % len(data) + data


def _magic(interpreter: str) -> str:
    """What an interpreter writes in front of compiled code."""
    ask = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    try:
        asked = subprocess.run(  # noqa: S603 - an interpreter of this machine
            [interpreter, "-I", "-S", "-c", ask], capture_output=True, check=False, env={}
        )
    except OSError:
        return ""
    return asked.stdout.decode(errors="replace").strip()


def interpreters() -> Sequence[str]:
    """Interpreters that a sandbox can read, best first: this one's own, then the system's."""
    known = (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3")
    return [place for place in dict.fromkeys(map(os.path.realpath, known)) if _public(place)]


def _public(file: str) -> bool:
    """Whether a process without rights can reach a file."""
    path = Path(file)
    try:
        return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))
    except OSError:
        return False


def limited(limits: Limits) -> tuple[str, ...]:
    """The words of `prlimit` before a program: it has one second more of CPU time before it is killed than to notice."""
    cpu, largest = max(1, round(limits.seconds)), limits.file_mb * 2**20
    return (
        "/usr/bin/prlimit", f"--as={limits.memory_mb * 2**20}", f"--cpu={cpu}:{cpu + 1}", f"--fsize={largest}",
        "--nofile=64", "--core=0", "--stack=16777216",
    )  # fmt: skip
