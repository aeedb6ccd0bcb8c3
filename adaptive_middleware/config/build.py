"""A checked configuration, and the parts it describes, built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.config.build_scorer import calibrator_of, scorer_of
from adaptive_middleware.config.build_strategy import strategy_of
from adaptive_middleware.config.calls import PythonVerifier, TaskTestsVerifier, ToolSchemaVerifier
from adaptive_middleware.config.dispatch import VerifierOfRule, conditions
from adaptive_middleware.config.document import KeyPath
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.given import Given
from adaptive_middleware.config.observing import observers_of
from adaptive_middleware.config.strategies import Beam, BestOfN, Drawing, Effort, PassThrough, Prune, Stepwise
from adaptive_middleware.config.tools import rules_of
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.ports import Calibrator, Observer, Scorer, Verifier
from adaptive_middleware.rules import Rule
from adaptive_middleware.verify.in_order import in_order
from adaptive_middleware.verify.rejecting import rejecting
from adaptive_middleware.verify.task_tests import task_tests
from adaptive_middleware.verify.tool_schema import tool_schema

NO_TASKS: Verifier = task_tests({})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a middleware is made of: rules in the order in which they are tried, their shared ports, and who is told."""

    rules: tuple[Rule, ...]
    scorer: Scorer | None = None
    verifier: Verifier | None = None
    observers: tuple[Observer, ...] = ()


@dataclass(frozen=True, slots=True)
class Config(Given):
    """A configuration without contradictions; nothing is loaded until `build`."""

    def build(self, tests: Verifier = NO_TASKS) -> Plan:
        """Load the process reward model, the calibration and the user's own parts, and make the rules.

        `tests` is what `verifier: {kind: task-tests}` stands for.
        Raises `ConfigError` (with its place) for a part that cannot be made, `CheckpointError` for a model and
        `CalibrationError` for a bundle that cannot be used.
        """
        scorer = scorer_of(self)
        return self.assembled(scorer, calibrator_of(self, scorer), tests)

    def assembled(self, scorer: Scorer | None, calibrate: Calibrator, tests: Verifier = NO_TASKS) -> Plan:
        """The plan around a process reward model and a calibration that are loaded already; raises as `build`."""
        names = [name for name in self.settings.policies if name != "default"]
        rules = tuple(_rule(self, name, scorer, calibrate) for name in (*names, "default"))
        return Plan(rules, scorer, _verifier(self, rules, tests), observers_of(self))


def _rule(config: Config, name: str, scorer: Scorer | None, calibrate: Calibrator) -> Rule:
    policy = config.settings.policies.get(name, PassThrough(strategy="pass-through"))
    strategy = strategy_of(config, name, policy, scorer, calibrate)
    limits = config.limits(policy)
    boundary = policy.steps if isinstance(policy, (Stepwise, Beam)) else "auto"
    tools = rules_of(policy.tools) if isinstance(policy, (BestOfN, Prune)) else ()
    shadow = (policy.mode or config.settings.mode) == "shadow"
    return Rule(
        name, strategy, conditions(policy.when), limits.seconds, limits.tokens, boundary, tools, shadow
    )


def _verifier(config: Config, rules: Sequence[Rule], tests: Verifier) -> Verifier | None:
    verifiers: dict[str, Verifier] = {}
    for name, policy in config.settings.policies.items():
        if isinstance(policy, (Drawing, Beam, Effort)) and policy.verifier is not None:
            place = ("policies", name, "verifier")
            spec = policy.verifier
            made_one = tests if isinstance(spec, TaskTestsVerifier) else _made(config, place, spec)
            filters = isinstance(policy, Drawing) and policy.verifier_decides == "failures"
            verifiers[name] = rejecting(made_one) if filters else made_one
    if len(verifiers) < 2:
        return next(iter(verifiers.values()), None)
    return VerifierOfRule(tuple((rule.when, verifiers.get(rule.name)) for rule in rules))


def _made(config: Config, path: KeyPath, spec: PythonVerifier | ToolSchemaVerifier) -> Verifier:
    if isinstance(spec, PythonVerifier):
        verifier: Verifier = made(config.document, path, spec.target, spec.args, "verify")
        return verifier
    try:
        first = tool_schema()
    except ConfigError as error:
        raise config.refused(path, error.message) from error
    return first if spec.then is None else in_order((first, _made(config, (*path, "then"), spec.then)))
