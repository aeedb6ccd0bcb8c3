"""adaptive_middleware: gives every LLM call the compute it needs and no more.

The public names of the core, on one screen. Importing this loads neither torch nor a framework; a name is loaded when it is first
used, so that a command of the shell does not pay for what it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from adaptive_middleware.report import report  # first: its module has its name, and would stand in its place

if TYPE_CHECKING:
    from adaptive_middleware.errors import AdaptiveError
    from adaptive_middleware.middleware import Middleware, Rule
    from adaptive_middleware.policy import (
        agreement,
        allocate,
        early_stopping,
        fixed,
        instance_adaptive,
        optimal_stopping,
        score_distribution,
        weighted_agreement,
    )
    from adaptive_middleware.strategies.best_of_n import best_of_n
    from adaptive_middleware.strategies.pass_through import pass_through
    from adaptive_middleware.strategies.prune import prune
    from adaptive_middleware.types import Decision, Estimate, Outcome, Path, Request, StepScores, Usage

__version__ = "0.1.0"

__all__ = [
    "AdaptiveError",
    "Decision",
    "Estimate",
    "Middleware",
    "Outcome",
    "Path",
    "Request",
    "Rule",
    "StepScores",
    "Usage",
    "agreement",
    "allocate",
    "best_of_n",
    "early_stopping",
    "fixed",
    "instance_adaptive",
    "optimal_stopping",
    "pass_through",
    "prune",
    "report",
    "score_distribution",
    "weighted_agreement",
]

if not TYPE_CHECKING:  # so that checkers know a misspelt name
    _PLACES = {
        "errors": ("AdaptiveError",),
        "middleware": ("Middleware", "Rule"),
        "strategies.best_of_n": ("best_of_n",),
        "strategies.pass_through": ("pass_through",),
        "strategies.prune": ("prune",),
        "types": ("Decision", "Estimate", "Outcome", "Path", "Request", "StepScores", "Usage"),
    }

    def __getattr__(name: str) -> object:
        if name not in __all__:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        place = next((place for place, names in _PLACES.items() if name in names), "policy")
        found = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
