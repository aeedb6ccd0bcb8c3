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
    │   ├── ScorerTimeout      it did not answer within its share of the call's time
    │   └── Unscorable         it cannot score this, however often it is asked
    ├── NotAnswerable          a process reward model cannot answer this question, or not about this state
    ├── SandboxError           code cannot be run in a sandbox here: which tiers were tried, and how to enable one
    ├── TraceError             a trace store cannot be used
    │   └── UnknownCall        no call of that id is kept
    └── BudgetError            a limit was reached
        ├── DeadlineExceeded   no time left
        ├── TokensExceeded     no tokens left
        ├── BudgetExhausted    a budget that calls share has no room for this one
        ├── PriceUnknown       a budget in dollars, and nobody knows what this model costs
        ├── UsageRefused       a usage or price that cannot be true
        └── BudgetUnavailable  the store of the budgets cannot be read or written

Errors of the wrapped model itself are never wrapped: the caller sees the framework's own exception.
Messages say what is wrong (with the value), where, and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class AdaptiveError(Exception):
    """Any error of this package.

    `code` names its class for good and `remedy` is the next step; a traceback ends with both, and docs/errors.md has them all.
    """

    code: ClassVar[str] = "AMW-E000"
    remedy: ClassVar[str] = "Report it: an error of this package should be of a class that says more."

    def __init__(self, *said: object) -> None:
        super().__init__(*said)
        self.add_note(f"{self.code}: {self.remedy} (docs/errors.md#{self.code.lower()})")


class ConfigError(AdaptiveError):
    """The configuration cannot be used; carries the place where that is known."""

    code = "AMW-E100"
    remedy = "Correct the place that the message names; `adaptive-middleware config check FILE` lists all problems at once."

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class CheckpointError(AdaptiveError):
    """Model weights are missing, garbled or of a foreign architecture."""

    code = "AMW-E200"
    remedy = "Download the model again, or correct `model`, `family` or `sha256`; only safetensors are read."


class CalibrationError(AdaptiveError):
    """Calibration data or a calibration bundle cannot be used."""

    code = "AMW-E210"
    remedy = "Take the bundle from its source again, or make a new one by `adaptive-middleware calibrate`."


class BundleMismatch(CalibrationError):
    """A calibration bundle was fitted for another process reward model or generator."""

    code = "AMW-E211"
    remedy = "Use the bundle that was made for these models, or make one by `adaptive-middleware calibrate`."


class RecordingError(AdaptiveError):
    """A recording cannot be read."""

    code = "AMW-E220"
    remedy = "Correct the line that the message names; the format is in docs/recordings.md."


class TaskError(AdaptiveError):
    """A file of tasks cannot be read."""

    code = "AMW-E230"
    remedy = (
        "Correct the line that the message names: JSON Lines, as `adaptive-middleware solve --help` says."
    )


class SamplerError(AdaptiveError):
    """No usable answer could be drawn."""

    code = "AMW-E300"
    remedy = "Look at what the endpoint said; check its address, model and key, or try again later."


class NotStreaming(SamplerError):
    """Answers cannot be read step by step here: there is no streamer, or the provider refused."""

    code = "AMW-E301"
    remedy = "Give the call a streamer, or choose a strategy that needs none: `best-of-n`."


class NotContinuing(SamplerError):
    """Answers cannot be continued from a prefix here: there is no extender, or the provider refused."""

    code = "AMW-E302"
    remedy = "Give the call an extender for an endpoint that continues answers, or choose `best-of-n`."


class ScorerError(AdaptiveError):
    """The process reward model failed or broke its contract."""

    code = "AMW-E400"
    remedy = "Look at the log of the process reward model; calls go on without scores, and it is tried again by itself."


class ScorerTimeout(ScorerError):
    """The process reward model did not answer within its share of the call's time."""

    code = "AMW-E401"
    remedy = "Give calls more time, or the process reward model more speed: a GPU, more replicas, a shorter `max_length`."


class Unscorable(ScorerError):
    """These paths cannot be scored, however often it is tried: they do not fit, or the model's server refuses them."""

    code = "AMW-E402"
    remedy = "Raise `max_length`, or keep calls with longer prompts away from rules that score."


class NotAnswerable(AdaptiveError):
    """A process reward model cannot answer this question, or not about this state."""

    code = "AMW-E410"
    remedy = "Ask a question that a process reward model answers: whether a step or an answer is right."


class SandboxError(AdaptiveError):
    """Code cannot be run in a sandbox here."""

    code = "AMW-E500"
    remedy = "Enable one of the sandboxes that the message names; see docs/code.md."


class TraceError(AdaptiveError):
    """A trace store cannot be used."""

    code = "AMW-E700"
    remedy = "Check that the store is the right file, whole and readable; see docs/traces.md."


class UnknownCall(TraceError):
    """No call of that id is kept."""

    code = "AMW-E701"
    remedy = "Look the id up by `adaptive-middleware logs`; it may have been deleted by retention."


class BudgetError(AdaptiveError):
    """A limit was reached before the call was finished."""

    code = "AMW-E600"
    remedy = "Raise the limit, or ask for less."


class DeadlineExceeded(BudgetError):
    """No time is left."""

    code = "AMW-E601"
    remedy = "Give the call more time (`budget.seconds`, or the deadline of its request), or ask for less."


class TokensExceeded(BudgetError):
    """No tokens are left."""

    code = "AMW-E602"
    remedy = "Raise `budget.tokens`, or set `max_tokens`, so that more samples fit."


class BudgetExhausted(BudgetError):
    """A budget that calls share has no room for this one."""

    code = "AMW-E603"
    remedy = "Wait for the next window, raise the cap, or set `on_exhausted: wait`; see docs/budgets.md."


class PriceUnknown(BudgetError):
    """A budget in dollars applies, and nobody knows what this model costs."""

    code = "AMW-E604"
    remedy = "Write the price under `budget.prices`, or set `unknown_price: allow`."


class UsageRefused(BudgetError):
    """A usage or a price that cannot be true: negative, not finite or absurd."""

    code = "AMW-E605"
    remedy = "Find out why the provider or the price says this; nothing was counted."


class BudgetUnavailable(BudgetError):
    """The store of the budgets cannot be read or written; calls are refused rather than not counted."""

    code = "AMW-E606"
    remedy = "Bring the store of the budgets back; calls that need it are refused until then."
