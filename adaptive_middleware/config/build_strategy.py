"""The strategies of a configuration, built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.code.canonical import program_answer
from adaptive_middleware.config.checks import max_samples
from adaptive_middleware.config.document import KeyPath
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.fields import Model
from adaptive_middleware.config.given import Given
from adaptive_middleware.config.keeping import Dominated, Keeping, PythonKeep, WorthFinishing
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
from adaptive_middleware.config.strategies import (
    Beam,
    BestOfN,
    Drawing,
    Effort,
    FirstGood,
    PassThrough,
    PolicyRule,
    Prune,
    Repair,
)
from adaptive_middleware.config.tools import rules_of
from adaptive_middleware.effects import Strategy
from adaptive_middleware.policy import (
    Prices,
    agreement,
    dominated,
    early_stopping,
    fixed,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
    weighted_agreement,
    worth_finishing,
)
from adaptive_middleware.ports import Calibrator, Keep, Policy, Scorer
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.repair import COMPLAINT, repair
from adaptive_middleware.strategies.select import (
    Selection,
    calibrated_argmax,
    calibrated_vote,
    execution_agreement,
    majority_vote,
)
from adaptive_middleware.types import Path

SELECTIONS: dict[str, Selection] = {
    "argmax": calibrated_argmax,
    "calibrated-vote": calibrated_vote,
    "majority": majority_vote,
    "execution-agreement": execution_agreement,
}
ANSWERS: dict[str, Callable[[Path], str | None]] = {"auto": canonical_answer, "code": program_answer}


def strategy_of(
    config: Given, name: str, policy: PolicyRule, scorer: Scorer | None, calibrate: Calibrator
) -> Strategy:
    """The strategy of the policy called `name`, with its stopping rule built."""
    match policy:
        case PassThrough():
            return pass_through
        case Beam():
            own = policy.model_dump(exclude={"strategy", "when", "budget", "mode", "verifier", "steps"})
            return beam(**own, calibrate=calibrate, verify=policy.verifier is not None)
        case Effort():
            return _effort(policy, calibrate)
        case Repair():
            return _repair(config, name, policy, scorer, calibrate)
        case FirstGood():
            return _first_good(config, name, policy, calibrate)
        case BestOfN() | Prune():
            return _sampled(config, name, policy, scorer, calibrate)


def _sampled(
    config: Given, name: str, policy: BestOfN | Prune, scorer: Scorer | None, calibrate: Calibrator
) -> Strategy:
    drawing = _drawing(config, name, policy, calibrate)
    if isinstance(policy, BestOfN):
        sampled: best_of_n | prune = best_of_n(**drawing, score=scorer is not None)
    else:
        sampled = prune(**drawing, keep=_keep(config, ("policies", name, "keep"), policy.keep))
    return careful(sampled, rules_of(policy.tools)) if policy.tools else sampled


def _drawing(config: Given, name: str, policy: Drawing, calibrate: Calibrator) -> dict[str, Any]:
    """What all strategies that draw as many answers as a policy asks for are made of."""
    limit = max_samples(policy)
    return {
        "policy": _policy(config, ("policies", name, "policy"), policy, limit),
        "max_samples": limit,
        "calibrate": calibrate,
        "select": SELECTIONS[policy.select],
        "answer": ANSWERS[policy.answer],
        "score_question": policy.score_question,
        "verify": policy.verifier is not None,
    }


def _first_good(config: Given, name: str, policy: FirstGood, calibrate: Calibrator) -> first_good:
    drawing = _drawing(config, name, policy, calibrate)
    otherwise: Strategy = best_of_n(**drawing)
    if policy.otherwise == "prune":
        otherwise = prune(**drawing, keep=_keep(config, ("policies", name, "keep"), policy.keep))
    own = policy.model_dump(include={"good", "by", "look"})
    del drawing["policy"]
    return first_good(otherwise, **own, **drawing)


def _repair(config: Given, name: str, policy: Repair, scorer: Scorer | None, calibrate: Calibrator) -> repair:
    drawing = _drawing(config, name, policy, calibrate)
    del drawing["verify"]
    own = policy.model_dump(include={"rounds", "shown", "on_fail"})
    rung = None if policy.escalate is None else Rung(**policy.escalate.model_dump())
    complaint = policy.complaint or COMPLAINT
    return repair(**drawing, **own, complaint=complaint, escalate=rung, score=scorer is not None)


def _effort(policy: Effort, calibrate: Calibrator) -> effort:
    names = [rung.name for rung in policy.rungs]
    return effort(
        tuple(Rung(**rung.model_dump()) for rung in policy.rungs),
        **policy.model_dump(include={"judge", "by", "target", "attempts"}),
        default=len(names) // 2 if policy.default is None else names.index(policy.default),
        calibrate=calibrate,
        verify=policy.verifier is not None,
    )


def _policy(config: Given, path: KeyPath, rule: Drawing, limit: int) -> Policy:
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


def _keep(config: Given, path: KeyPath, rule: Keeping) -> Keep:
    match rule:
        case WorthFinishing():
            return worth_finishing(**rule.model_dump(exclude={"kind"}))
        case Dominated(give_up=give_up):
            return dominated(give_up)
        case PythonKeep(target=factory, args=args):
            keep: Keep = made(config.document, path, factory, args)
            return keep


_NAMED: Mapping[type[Model], Callable[..., Policy]] = MappingProxyType(
    {
        FixedPolicy: fixed,
        AgreementPolicy: agreement,
        EarlyStoppingPolicy: early_stopping,
        ScoreDistributionPolicy: score_distribution,
        WeightedAgreementPolicy: weighted_agreement,
    }
)
