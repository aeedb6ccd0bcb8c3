"""A checked configuration, and the parts it describes, built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.config.build_budget import ledger_of
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
    """What a middleware is made of: rules in the order in which they are tried, their shared ports, and who is told.

    `given` is what it was made from; `ledger` is the one of all rules.
    """

    rules: tuple[Rule, ...]
    scorer: Scorer | None = None
    verifier: Verifier | None = None
    observers: tuple[Observer, ...] = ()
    given: Given | None = None
    ledger: Ledger | None = None


@dataclass(frozen=True, slots=True)
class Config(Given):
    """A configuration without contradictions; nothing is loaded until `build`."""

    def build(self, tests: Verifier = NO_TASKS, *, before: Plan | None = None) -> Plan:
        """Load the process reward model, the calibration and the user's own parts, and make the rules.

        `tests` is what `verifier: {kind: task-tests}` stands for. What of `before` was made from the same sections is used again: the scorer, what observes, and
        what budgets have counted.
        Raises `ConfigError` (with its place) for a part that cannot be made, `CheckpointError` for a model and
        `CalibrationError` for a bundle that cannot be used.
        """
        before = before or Plan(())
        scorer = before.scorer if self._same(before, "prm") else scorer_of(self)
        return self.assembled(scorer, calibrator_of(self, scorer), tests, before)

    def assembled(
        self,
        scorer: Scorer | None,
        calibrate: Calibrator,
        tests: Verifier = NO_TASKS,
        before: Plan | None = None,
    ) -> Plan:
        """The plan around a process reward model and a calibration that are loaded already; raises as `build`."""
        before = before or Plan(())
        names = [name for name in self.settings.policies if name != "default"]
        kept = self._same(before, "budget", "budgets")
        budget = before.ledger if kept else ledger_of(self, before.ledger)
        rules = tuple(
            replace(_rule(self, name, scorer, calibrate), budget=budget) for name in (*names, "default")
        )
        observed = (
            before.observers
            if self._same(before, "trace", "observers", "opentelemetry")
            else observers_of(self)
        )
        return Plan(rules, scorer, _verifier(self, rules, tests), observed, self, budget)

    def _same(self, before: Plan, *sections: str) -> bool:
        """Whether the sections are what they were when `before` was built."""
        if before.given is None or before.given.document.file != self.document.file:
            return False
        old, new = before.given.settings.model_dump(), self.settings.model_dump()
        return all(old[section] == new[section] for section in sections)


def _rule(config: Config, name: str, scorer: Scorer | None, calibrate: Calibrator) -> Rule:
    policy = config.settings.policies.get(name, PassThrough(strategy="pass-through"))
    strategy = strategy_of(config, name, policy, scorer, calibrate)
    limits = config.limits(policy)
    boundary = policy.steps if isinstance(policy, (Stepwise, Beam)) else "auto"
    tools = rules_of(policy.tools) if isinstance(policy, (BestOfN, Prune)) else ()
    shadow = (policy.mode or config.settings.mode) == "shadow"
    return Rule(
        name,
        strategy,
        conditions(policy.when),
        limits.seconds,
        limits.tokens,
        boundary,
        tools,
        shadow=shadow,
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
