"""Tests of a repository: an answer's code becomes a file in a copy of a work tree, and a command runs there.

Code and tests share a process here, as pytest has it, so this is for honest code: a program that is out to cheat can make
its own tests pass. What it can reach is what any other program in the sandbox can.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as File

from adaptive_middleware.code.program import program_of
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.judge import Judge, verdict
from adaptive_middleware.verify.sandbox.guest import UNCOPIED
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox
from adaptive_middleware.verify.unit_tests import judged

_PASSED = re.compile(rb"\b[1-9]\d* passed\b")


@dataclass(frozen=True, slots=True)
class repository_tests:  # noqa: N801 - verifiers read as words
    """The `Verifier` port: an answer passes when `command` ends with status 0 in a copy of `folder` that has it as `file`.

    Where the command runs pytest, its output must also say that at least one test passed: a program that exits with 0
    while it is imported passes nothing. `readable` are folders of this machine that the command needs, such as an
    environment with pytest; the copy counts as files (`file_mb`). Nothing is written to `folder`.
    """

    folder: str
    file: str
    command: tuple[str, ...]
    readable: tuple[str, ...] = ()
    seconds: float = 60.0
    memory_mb: int = 1024
    file_mb: int = 64
    processes: int = 32
    where: Sandbox | None = None

    def __post_init__(self) -> None:
        root = File(self.folder).resolve()
        if not root.is_dir() or not (root / self.file).resolve().is_relative_to(root):
            message = f"{self.file!r} is to be written in {self.folder!r}, which is no folder or does not contain it"
            raise ConfigError(message)

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path; its detail is the end of what the command printed."""
        with tempfile.TemporaryDirectory(prefix="adaptive-tree-") as name:
            tree = File(name) / "tree"
            shutil.copytree(self.folder, tree, symlinks=True)
            limits = Limits(
                self.seconds, self.memory_mb, self.processes, self.file_mb, readable=(*self.readable, name)
            )
            return judged(
                [program_of(path.text) for path in paths], limits, self.where, partial(self._one, tree)
            )

    def _one(self, tree: File, judge: Judge, code: str) -> Verdict:
        place = tree / self.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(code, "utf-8", "surrogatepass")
        _open_to_all(tree)
        return judge.finished(("command", list(self.command), b"", str(tree)), self._read)

    def _read(self, end: Ended) -> Verdict:
        said = end.printed.decode(errors="replace")
        if end.status == UNCOPIED:
            return verdict("unverified", f"the work tree could not be copied: {end.detail}")
        if end.status:
            return verdict("wrong" if said.strip() else "error", f"{said} {end.detail}")
        if "pytest" in " ".join(self.command) and not _PASSED.search(end.printed):
            return verdict("no_result", f"no test passed: {said}")
        return verdict("pass")


def _open_to_all(tree: File) -> None:
    """Let everybody read the copy: the sandbox runs as another user."""
    for place in (tree.parent, tree, *tree.rglob("*")):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode | (0o555 if place.is_dir() else 0o444))
