"""Where code is run and where calls are kept: sandboxes that work here, and a trace store that can be written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from adaptive_middleware.config import Config
from adaptive_middleware.config.calls import TaskTestsVerifier
from adaptive_middleware.config.strategies import Beam, Drawing, Effort
from adaptive_middleware.doctor.finding import Finding, fail, ok, warn
from adaptive_middleware.trace.schema import VERSION
from adaptive_middleware.trace.settings import default_place
from adaptive_middleware.verify.sandbox.choose import AUTO, TIERS, Probe, probe

_SET_ASIDE = "keep the file for a look; a new one is begun with the next call"


def sandboxes(config: Config | None, probes: Iterable[Probe] | None = None) -> Iterator[Finding]:
    """Which sandboxes work here, tried by really running a program in each; a failure only where code is to be run."""
    found = [probe(tier) for tier in TIERS] if probes is None else list(probes)
    working = [each.tier for each in found if each.works]
    broken = "; ".join(f"{each.tier}: {each.why}" for each in found if not each.works)
    remedy = " | ".join(each.remedy for each in found if not each.works)
    if working and not set(working) & set(AUTO):
        asked = f"say --sandbox {working[0]}: it is not taken by itself, because it takes long to start; or: {remedy}"
        yield warn("sandbox", f"works: {', '.join(working)}; does not: {broken}", asked)
    elif working:
        yield ok("sandbox", f"works: {', '.join(working)}" + (f"; does not: {broken}" if broken else ""))
    elif config is not None and _runs_code(config):
        yield fail("sandbox", f"none works, and a verifier runs code: {broken}", remedy)
    else:
        yield warn("sandbox", f"none works, so no code of answers can be run: {broken}", remedy)


def _runs_code(config: Config) -> bool:
    policies = config.settings.policies.values()
    return any(
        isinstance(policy, (Drawing, Beam, Effort)) and isinstance(policy.verifier, TaskTestsVerifier)
        for policy in policies
    )


def store_of(config: Config) -> Path | None:
    """The file of the trace store that a configuration names; None without one."""
    trace = config.settings.trace
    if trace is None:
        return None
    return default_place() if trace.path is None else config.resolved(trace.path).absolute()


def store(file: Path) -> Finding:
    """Whether calls can be kept in `file`; it is looked at, and not changed."""
    name = "trace store"
    if not file.exists():
        folder = next(parent for parent in file.parents if parent.exists())
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return ok(name, f"{file} will be made with the first call")
        return fail(name, f"{file} cannot be made: {folder} cannot be written", "name another trace.path")
    if not file.is_file() or not os.access(file, os.R_OK | os.W_OK):
        return fail(name, f"{file} cannot be written", "change its owner or mode, or name another trace.path")
    return _seen(name, file)


def _seen(name: str, file: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            calls = connection.execute("SELECT count(*) FROM calls").fetchone()[0] if version else 0
    except sqlite3.Error as error:
        return warn(name, f"{file} cannot be read as a trace store ({error})", _SET_ASIDE)
    if version > VERSION:
        what = f"{file} has version {version}, and this program knows versions up to {VERSION}"
        return fail(name, what, "upgrade adaptive-middleware, or name another trace.path")
    megabytes = file.stat().st_size / 1e6
    return ok(name, f"{file}: {calls} calls, {megabytes:.1f} MB")
