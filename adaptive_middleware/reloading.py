"""A configuration file that is followed: what changes in it is taken on whole, and what is wrong leaves the last good one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Followed:
    """Looks at `path` when told to, and calls `apply` for a changed file that has come to rest between two looks.

    `apply` takes all of it or raises; then the reason is logged with its place, and nothing is tried again before the file
    changes. `told` gets each result. A file that is missing (deleted, or between two names) changes nothing.
    """

    path: str | PathLike[str]
    apply: Callable[[str | PathLike[str]], None]
    told: Callable[[Literal["applied", "refused"]], None] = lambda _: None
    _applied: tuple[int, ...] | None = field(init=False)
    _last: tuple[int, ...] | None = field(init=False)

    def __post_init__(self) -> None:
        self._applied = self._last = self._signature()

    def look(self) -> None:
        """Take the file on if it has changed and is at rest."""
        now = self._signature()
        resting, self._last = now == self._last, now
        if now is None or now == self._applied or not resting:
            return
        self._applied = now
        try:
            self.apply(self.path)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, calls go on as before
            told = "%s is not taken on, the configuration before it stays: %s: %s"
            LOG.error(told, self.path, type(error).__name__, error)  # noqa: TRY400 - the place is in the message
            self.told("refused")
        else:
            LOG.info("%s is taken on", self.path)
            self.told("applied")

    def _signature(self) -> tuple[int, ...] | None:
        """What tells one state of the file from another, through links; None where there is no file."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
