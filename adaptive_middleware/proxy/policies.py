"""Policies by name: a client may say which one its request gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adaptive_middleware.config import Plan
from adaptive_middleware.config.dispatch import VerifierOfRule
from adaptive_middleware.ports import Observer
from adaptive_middleware.proxy.requests import request_of
from adaptive_middleware.rules import Rule
from adaptive_middleware.server.requests import Refused
from adaptive_middleware.transport.wire import CHAT, Wire
from adaptive_middleware.types import Request

POLICY, TAGS, CALL_SITE = "x-adaptive-policy", "x-adaptive-tags", "x-adaptive-call-site"
_TAG = "adaptive-policy="


@dataclass(frozen=True, slots=True)
class ByName:
    """Accepts requests that ask for the policy `name`, and of those that ask for none what `when` accepts."""

    name: str
    when: Callable[[Request], bool]

    def __call__(self, request: Request) -> bool:
        """Whether the request is for this policy."""
        named = [tag for tag in request.tags if tag.startswith(_TAG)]
        return named == [_TAG + self.name] if named else self.when(request)


def named(plan: Plan, *shadowed: Observer) -> Plan:
    """The plan with rules that can be asked for by name, each with its own verifier; `shadowed` are told, too, where a rule is in shadow."""
    rules = tuple(replace(rule, when=ByName(rule.name, rule.when)) for rule in plan.rules)
    verifier = plan.verifier
    if isinstance(verifier, VerifierOfRule):
        pairs = zip(rules, verifier.verifiers, strict=True)
        verifier = VerifierOfRule(tuple((rule.when, of_rule) for rule, (_, of_rule) in pairs))
    new = tuple(one for one in shadowed if not any(one is known for known in plan.observers))
    told = new if any(rule.shadow for rule in rules) else ()
    return replace(plan, rules=rules, verifier=verifier, observers=(*plan.observers, *told))


def understood(
    values: Mapping[str, Any], headers: Mapping[str, str], rules: Sequence[Rule], wire: Wire = CHAT
) -> Request:
    """The request of a call; raises `Refused` (400) where it asks for a policy that does not exist.

    The header `x-adaptive-policy` names a policy, or else what follows the last `@` in the model's name does; that
    part is not the upstream's to see.
    """
    model = values.get("model")
    model = model if isinstance(model, str) else None
    policy = headers.get(POLICY)
    if policy is None and model is not None and model.rpartition("@")[0]:
        model, _, policy = model.rpartition("@")
    tags = {tag.strip() for tag in headers.get(TAGS, "").split(",")} - {""}
    tags = {tag for tag in tags if not tag.startswith(_TAG)}
    if policy is not None:
        tags.add(_TAG + _known(policy, rules))
    return request_of(values, wire, model=model, tags=frozenset(tags), call_site=headers.get(CALL_SITE))


def _known(policy: str, rules: Sequence[Rule]) -> str:
    names = list(dict.fromkeys(rule.name for rule in rules))
    if policy not in names:
        message = f"there is no policy {policy!r}: name one of {', '.join(names)} in {POLICY} or after the @ of `model`"
        raise Refused(400, message, "model")
    return policy
