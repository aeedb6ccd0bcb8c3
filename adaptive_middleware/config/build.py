"""A checked configuration, and the parts it describes, built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from types import MappingProxyType

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.config.checks import MAX_SAMPLES, wanted
from adaptive_middleware.config.dispatch import VerifierOfRule, conditions
from adaptive_middleware.config.document import Document, KeyPath
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.fields import Model
from adaptive_middleware.config.schema import (
    BestOfN,
    LabPrm,
    Limits,
    PassThrough,
    PolicyRule,
    PythonPrm,
    Settings,
    TransformersPrm,
)
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
from adaptive_middleware.errors import ConfigError
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
from adaptive_middleware.ports import Calibrator, Policy, Scorer, Verifier
from adaptive_middleware.rules import Rule
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote

SELECTIONS: dict[str, Selection] = {
    "argmax": calibrated_argmax,
    "calibrated-vote": calibrated_vote,
    "majority": majority_vote,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a middleware is made of: rules in the order in which they are tried, and their shared ports."""

    rules: tuple[Rule, ...]
    scorer: Scorer | None = None
    verifier: Verifier | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without contradictions; nothing is loaded until `build`."""

    settings: Settings
    document: Document

    def build(self) -> Plan:
        """Load the process reward model, the calibration and the user's own parts, and make the rules.

        Raises `ConfigError` (with its place) for a part that cannot be made, `CheckpointError` for a model and
        `CalibrationError` for a bundle that cannot be used.
        """
        scorer = _scorer(self)
        calibrate = _calibrator(self, scorer)
        names = [name for name in self.settings.policies if name != "default"]
        rules = tuple(_rule(self, name, scorer, calibrate) for name in (*names, "default"))
        return Plan(rules, scorer, _verifier(self, rules))

    def limits(self, policy: PolicyRule) -> Limits:
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


def _rule(config: Config, name: str, scorer: Scorer | None, calibrate: Calibrator) -> Rule:
    policy = config.settings.policies.get(name, PassThrough(strategy="pass-through"))
    strategy = _strategy(config, name, policy, scorer, calibrate)
    limits = config.limits(policy)
    return Rule(name, strategy, conditions(policy.when), seconds=limits.seconds, tokens=limits.tokens)


def _strategy(
    config: Config, name: str, policy: PolicyRule, scorer: Scorer | None, calibrate: Calibrator
) -> Strategy:
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


def _policy(config: Config, path: KeyPath, rule: BestOfN, limit: int) -> Policy:
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


def _scorer(config: Config) -> Scorer | None:
    match config.settings.prm:
        case None:
            return None
        case PythonPrm(target=target, args=args):
            scorer: Scorer = made(config.document, ("prm",), target, args, "score")
            return scorer
        case LabPrm():
            return _loader(config)(lab.PRM)
        case TransformersPrm() as prm:
            return _load_transformers(config, prm)


def _verifier(config: Config, rules: Sequence[Rule]) -> Verifier | None:
    verifiers: dict[str, Verifier] = {}
    for name, policy in config.settings.policies.items():
        if isinstance(policy, BestOfN) and policy.verifier is not None:
            spec = policy.verifier
            path = ("policies", name, "verifier")
            verifiers[name] = made(config.document, path, spec.target, spec.args, "verify")
    if len(verifiers) < 2:
        return next(iter(verifiers.values()), None)
    return VerifierOfRule(tuple((rule.when, verifiers.get(rule.name)) for rule in rules))


def _load_transformers(config: Config, prm: TransformersPrm) -> Scorer:
    folder = config.resolved(prm.model)
    return _loader(config)(
        folder if folder.exists() else prm.model,
        family=prm.family,
        device=prm.device,
        dtype=prm.dtype,
        max_length=prm.max_length,
        batch_tokens=prm.batch_tokens,
        sha256=prm.sha256_files or prm.sha256,
    )


def _loader(config: Config) -> Callable[..., Scorer]:
    """What loads the process reward model: as it is, or with the fine-tuned calibration on top."""
    from adaptive_middleware.scoring.local import load_scorer  # noqa: PLC0415 - loads torch

    tuned = _fine_tuned(config)
    if tuned is None:
        return load_scorer
    from adaptive_middleware.scoring.quantiles_local import load_quantile_scorer  # noqa: PLC0415 - loads torch

    return partial(load_quantile_scorer, tuned, generator=config.settings.generator)


def _fine_tuned(config: Config) -> FilePath | None:
    """The folder of a fine-tuned calibration, where `calibration` names one."""
    written = config.settings.calibration
    if written is None or written in {"none", "lab"} or not config.resolved(written).is_dir():
        return None
    return config.resolved(written)


def _calibrator(config: Config, scorer: Scorer | None) -> Calibrator:
    written = config.settings.calibration
    if written is None or written == "none":
        return uncalibrated
    if tuned := _fine_tuned(config):
        if isinstance(config.settings.prm, PythonPrm):
            message = f"calibration is the folder {str(tuned)!r}, a fine-tuned model: that needs prm.kind transformers or lab; use a bundle"
            raise _at(config, ("calibration",), message)
        return quantile_estimate
    path = lab.CALIBRATION if written == "lab" else config.resolved(written)
    return bundle.load(path, prm=_id(config, scorer), generator=config.settings.generator).calibration


def _at(config: Config, path: KeyPath, message: str) -> ConfigError:
    place = config.document.at(path)
    return ConfigError(message, file=config.document.file, line=place.line, column=place.column)


def _id(config: Config, scorer: Scorer | None) -> str:
    """What calibration bundles call the process reward model: its `id`, else the factory that made it."""
    prm = config.settings.prm
    made_by = prm.target if isinstance(prm, PythonPrm) else ""
    return str(getattr(scorer, "id", made_by))
