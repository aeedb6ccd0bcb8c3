"""Rules: which strategy answers which calls, within which limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptive_middleware.effects import Strategy
from adaptive_middleware.steps import Boundary
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Request

if TYPE_CHECKING:  # most programs have no budgets, and start faster without
    from adaptive_middleware.budget.ledger import Ledger


def every_call(_request: Request) -> bool:
    """Accept every request; a named function, so that a rule can be pickled."""
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """A named policy for the calls that `when` accepts, with its per-call limits.

    `seconds` is wall-clock time from the start of the call, `tokens` counts completion tokens of all
    samples; None means no limit. `boundary` says where a step of a streamed answer ends. Calls of `tools` that
    miss their target are withheld, where their rule says so; `strategies.careful` draws for them. `budget` counts what
    the calls of all rules with the same ledger cost together. In `shadow` every call is one plain call without limits, and what
    the strategy would have drawn is only told (see `strategies.shadow`).
    """

    name: str
    strategy: Strategy
    when: Callable[[Request], bool] = every_call
    seconds: float | None = None
    tokens: int | None = None
    boundary: Boundary = "auto"
    tools: tuple[ToolRule, ...] = ()
    budget: Ledger | None = None
    shadow: bool = False

    @property
    def passes_through(self) -> bool:
        """Whether this rule leaves calls exactly as they are."""
        unlimited = self.seconds is None and self.tokens is None and self.budget is None
        return self.strategy is pass_through and (self.shadow or (unlimited and not self.tools))
