"""adaptive_middleware: gives every LLM call the compute it needs and no more.

The public names of the core, on one screen. Importing this loads neither torch nor a framework.
"""

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
from adaptive_middleware.report import report
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
