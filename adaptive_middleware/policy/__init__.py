"""Policies: how many more samples a call gets, given what is known so far.

A policy is a callable from a `State` to a `Decision` (or a plain number of further samples: a lambda
does). It is asked again after every draw, until it asks for nothing or the call's limit is reached.
The classes have lower-case names because they read as words in code and configuration.
"""

from adaptive_middleware.policy.agreement import agreement, stays_leader
from adaptive_middleware.policy.allocate import allocate
from adaptive_middleware.policy.difficulty import instance_adaptive, samples_needed
from adaptive_middleware.policy.dominated import dominated
from adaptive_middleware.policy.early_stopping import early_stopping
from adaptive_middleware.policy.fixed import fixed
from adaptive_middleware.policy.gain import gain
from adaptive_middleware.policy.per_tool import per_tool
from adaptive_middleware.policy.prices import Prices, draw_cost
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.policy.score_distribution import samples_to_exceed, score_distribution
from adaptive_middleware.policy.stopping import optimal_stopping
from adaptive_middleware.policy.weighted import overtaken, weighted_agreement

__all__ = [
    "Prices",
    "agreement",
    "allocate",
    "dominated",
    "draw_cost",
    "early_stopping",
    "fixed",
    "gain",
    "instance_adaptive",
    "optimal_stopping",
    "overtaken",
    "per_tool",
    "samples_needed",
    "samples_to_exceed",
    "score_distribution",
    "stays_leader",
    "weighted_agreement",
    "worth_finishing",
]
