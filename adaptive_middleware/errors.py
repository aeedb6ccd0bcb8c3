"""Every error that this package raises on purpose.

    AdaptiveError
    ├── ConfigError            the configuration cannot be used: file, line, column, remedy
    ├── CheckpointError        model weights are missing, garbled or of a foreign architecture
    ├── CalibrationError       calibration data or a bundle cannot be used
    │   └── BundleMismatch     a bundle was fitted for another process reward model or generator
    ├── RecordingError         a recording cannot be read: file, line, remedy
    ├── TaskError              a file of tasks cannot be read: file, line, remedy
    ├── SamplerError           no usable answer could be drawn
    │   ├── NotStreaming       answers cannot be read step by step here
    │   └── NotContinuing      answers cannot be continued from a prefix here
    ├── ScorerError            the process reward model failed or broke its contract
    ├── TraceError             a trace store cannot be used
    │   └── UnknownCall        no call of that id is kept
    ├── NotAnswerable          a process reward model cannot answer this question, or not about this state
    ├── SandboxError           code cannot be run in a sandbox here: which tiers were tried, and how to enable one
    └── BudgetError            a limit was reached
        ├── DeadlineExceeded   no time left
        └── TokensExceeded     no tokens left

Errors of the wrapped model itself are never wrapped: the caller sees the framework's own exception.
Messages say what is wrong (with the value), where, and what to do next.
"""

from __future__ import annotations


class AdaptiveError(Exception):
    """Any error of this package."""


class ConfigError(AdaptiveError):
    """The configuration cannot be used; carries the place where that is known."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class CheckpointError(AdaptiveError):
    """Model weights are missing, garbled or of a foreign architecture."""


class CalibrationError(AdaptiveError):
    """Calibration data or a calibration bundle cannot be used."""


class BundleMismatch(CalibrationError):
    """A calibration bundle was fitted for another process reward model or generator."""


class RecordingError(AdaptiveError):
    """A recording cannot be read."""


class TaskError(AdaptiveError):
    """A file of tasks cannot be read."""


class SamplerError(AdaptiveError):
    """No usable answer could be drawn."""


class NotStreaming(SamplerError):
    """Answers cannot be read step by step here: there is no streamer, or the provider refused."""


class NotContinuing(SamplerError):
    """Answers cannot be continued from a prefix here: there is no extender, or the provider refused."""


class ScorerError(AdaptiveError):
    """The process reward model failed or broke its contract."""


class TraceError(AdaptiveError):
    """A trace store cannot be used."""


class UnknownCall(TraceError):
    """No call of that id is kept."""


class NotAnswerable(AdaptiveError):
    """A process reward model cannot answer this question, or not about this state."""


class SandboxError(AdaptiveError):
    """Code cannot be run in a sandbox here."""


class BudgetError(AdaptiveError):
    """A limit was reached before the call was finished."""


class DeadlineExceeded(BudgetError):
    """No time is left."""


class TokensExceeded(BudgetError):
    """No tokens are left."""
