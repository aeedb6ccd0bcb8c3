"""The strategies of a configuration, built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from adaptive_middleware.config.checks import MAX_SAMPLES, wanted
from adaptive_middleware.config.document import KeyPath
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.fields import Model
from adaptive_middleware.config.given import Given
from adaptive_middleware.config.schema import BestOfN, PassThrough, PolicyRule
from adaptive_middleware.config.stopping import (
    AgreementPolicy,
    EarlyStoppingPolicy,
    FixedPolicy,
    InstanceAdaptivePolicy,
    OptimalStoppingPolicy,
    PythonPolicy,
    ScoreDistributionPolicy,
    WeightedAgreementPolicy,
)
from adaptive_middleware.effects import Strategy
from adaptive_middleware.policy import (
    Prices,
    agreement,
    early_stopping,
    fixed,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
    weighted_agreement,
)
from adaptive_middleware.ports import Calibrator, Policy, Scorer
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote

SELECTIONS: dict[str, Selection] = {
    "argmax": calibrated_argmax,
    "calibrated-vote": calibrated_vote,
    "majority": majority_vote,
}


def strategy_of(
    config: Given, name: str, policy: PolicyRule, scorer: Scorer | None, calibrate: Calibrator
) -> Strategy:
    """The strategy of the policy called `name`, with its stopping rule built."""
    if isinstance(policy, PassThrough):
        return pass_through
    limit = max_samples(policy)
    return best_of_n(
        _policy(config, ("policies", name, "policy"), policy, limit),
        max_samples=limit,
        calibrate=calibrate,
        select=SELECTIONS[policy.select],
        score=scorer is not None,
        score_question=policy.score_question,
        verify=policy.verifier is not None,
    )


def max_samples(policy: BestOfN) -> int:
    """The most samples of one call: as written, else what the stopping policy names itself, else 16."""
    return policy.max_samples or wanted(policy)[0] or MAX_SAMPLES


def _policy(config: Given, path: KeyPath, rule: BestOfN, limit: int) -> Policy:
    match rule.policy:
        case InstanceAdaptivePolicy(confidence=confidence, cap=cap):
            return instance_adaptive(confidence, cap or limit)
        case OptimalStoppingPolicy(prices=prices) as stopping:
            counted = None if prices is None else Prices(**prices.model_dump())
            return optimal_stopping(**stopping.model_dump(exclude={"kind", "prices"}), prices=counted)
        case PythonPolicy(target=factory, args=args):
            policy: Policy = made(config.document, path, factory, args)
            return policy
        case named:
            return _NAMED[type(named)](**named.model_dump(exclude={"kind"}))


_NAMED: Mapping[type[Model], Callable[..., Policy]] = MappingProxyType(
    {
        FixedPolicy: fixed,
        AgreementPolicy: agreement,
        EarlyStoppingPolicy: early_stopping,
        ScoreDistributionPolicy: score_distribution,
        WeightedAgreementPolicy: weighted_agreement,
    }
)
