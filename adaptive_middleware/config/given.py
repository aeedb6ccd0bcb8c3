"""A configuration without contradictions, before anything of it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath

from adaptive_middleware.config.calls import AnyPolicy, Limits
from adaptive_middleware.config.document import Document, KeyPath
from adaptive_middleware.config.schema import Settings
from adaptive_middleware.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Given:
    """What was written: checked settings, and the document that says where each of them stands."""

    settings: Settings
    document: Document

    def limits(self, policy: AnyPolicy) -> Limits:
        """What a call of this policy may cost: its own limits, else those of all calls."""
        own, shared = policy.budget, self.settings.budget.per_call
        return Limits(
            tokens=shared.tokens if own.tokens is None else own.tokens,
            seconds=shared.seconds if own.seconds is None else own.seconds,
        )

    def resolved(self, written: str) -> FilePath:
        """A path as the configuration means it: relative to the folder of its file."""
        folder = FilePath() if self.document.file is None else FilePath(self.document.file).parent
        return folder / FilePath(written).expanduser()

    def refused(self, path: KeyPath, message: str) -> ConfigError:
        """The error for the key at `path`, with its place in the document."""
        place = self.document.at(path)
        return ConfigError(message, file=self.document.file, line=place.line, column=place.column)
