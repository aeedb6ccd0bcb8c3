"""What a configuration would apply, as plain values: for people and for programs."""

from __future__ import annotations

from adaptive_middleware.config.build import Config
from adaptive_middleware.config.calls import AnyVerifier, PythonVerifier, TaskTestsVerifier, When
from adaptive_middleware.config.checks import max_samples
from adaptive_middleware.config.strategies import Beam, Drawing, Effort, PassThrough, PolicyRule


def summary(config: Config) -> dict[str, object]:
    """The parts and the rules of a configuration, defaults filled in, in the order in which rules are tried."""
    settings = config.settings
    names = [*(name for name in settings.policies if name != "default"), "default"]
    absent = PassThrough(strategy="pass-through")
    return {
        "version": settings.version,
        "prm": settings.prm.model_dump(exclude_none=True) if settings.prm else None,
        "calibration": settings.calibration or "none",
        **_budgets(config),
        "rules": [_rule(config, name, settings.policies.get(name, absent)) for name in names],
    }


def _rule(config: Config, name: str, policy: PolicyRule) -> dict[str, object]:
    limits = config.limits(policy)
    rule: dict[str, object] = {
        "name": name,
        "when": {} if policy.when is None else _conditions(policy.when),
        "strategy": policy.strategy,
        "tokens": limits.tokens,
        "seconds": limits.seconds,
    }
    if (policy.mode or config.settings.mode) == "shadow":
        rule["mode"] = "shadow"
    if isinstance(policy, (Drawing, Beam, Effort)):
        rule |= policy.model_dump(
            mode="json", exclude_none=True, exclude={"when", "budget", "mode"} | _plain(policy)
        )
        rule["verifier"] = None if policy.verifier is None else _verifier(policy.verifier)
    if isinstance(policy, (Drawing, Beam)):
        rule["score_question"] = policy.score_question and config.settings.prm is not None
    if isinstance(policy, Drawing):
        rule["max_samples"] = max_samples(policy)
    return rule


def _budgets(config: Config) -> dict[str, object]:
    """The budgets that calls share and how they are counted; nothing where there are none."""
    settings = config.settings
    if not settings.budgets:
        return {}
    counted = settings.budget.model_dump(mode="json", exclude_none=True, exclude={"per_call"})
    caps = [cap.model_dump(mode="json", exclude_none=True) for cap in settings.budgets]
    return {"budgets": caps, "budget": {"store": {"kind": "memory"}, **counted}}


def _plain(policy: Drawing | Beam | Effort) -> set[str]:
    """Keys about code that say what holds where nobody wrote them: most policies are about something else."""
    written = policy.model_fields_set
    return {name for name in ("answer", "verifier_decides") if name not in written}


def _conditions(when: When) -> dict[str, object]:
    return when.model_dump(mode="json", exclude_none=True)


def _verifier(written: AnyVerifier) -> str:
    if isinstance(written, PythonVerifier):
        return written.target
    if isinstance(written, TaskTestsVerifier) or written.then is None:
        return written.kind
    return f"{written.kind}, then {written.then.target}"
