"""Policies on the command line: `KIND[:field=value,..]`, with the fields of the policy's dataclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import typer

from adaptive_middleware.policy import (
    agreement,
    early_stopping,
    fixed,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
    weighted_agreement,
    worth_finishing,
)
from adaptive_middleware.ports import Keep, Policy

KINDS = MappingProxyType(
    {
        "fixed": fixed,
        "instance-adaptive": instance_adaptive,
        "agreement": agreement,
        "early-stopping": early_stopping,
        "score-distribution": score_distribution,
        "weighted-agreement": weighted_agreement,
        "optimal-stopping": optimal_stopping,
    }
)
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType({"method": ("mle", "map")})
SELECTIONS = ("argmax", "calibrated-vote", "majority", "verified")
_SELECT: Mapping[str, str] = MappingProxyType(
    {"early-stopping": "majority", "weighted-agreement": "calibrated-vote"}
)
_NUMBERS: Mapping[str, type[int | float]] = MappingProxyType({"int": int, "float": float})
_OPEN = (lambda value: 0 < value < 1, "strictly between 0 and 1")
_CLOSED = (lambda value: 0 <= value <= 1, "from 0 to 1")
_WHOLE = (lambda value: value >= 1, "a whole number of at least 1")
_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = MappingProxyType(
    {
        "n": _WHOLE,
        "cap": _WHOLE,
        "window": _WHOLE,
        "max": _WHOLE,
        "confidence": _OPEN,
        "target": _OPEN,
        "first": _WHOLE,
        "give_up": _CLOSED,
        "prior_mu": _CLOSED,
        "prior_sigma": (lambda value: 0.01 <= value <= 10, "from 0.01 to 10"),
        "prior_spread": (lambda value: 0 < value <= 10, "above 0 and at most 10"),
        "sharpness": (lambda value: value > 0, "above 0"),
        "impatience": (lambda value: value > 0, "above 0"),
        "per_tokens": (lambda value: value >= 0, "a whole number of at least 0"),
    }
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A row to replay: a policy, and what overrides the command's defaults for this row.

    With `keep`, answers are read step by step, and dropped when it says so.
    """

    name: str
    policy: Policy
    select: str | None = None
    limit: int | None = None
    keep: Keep | None = None


def parse(text: str) -> Spec:
    """The row that `text` asks for; raises `typer.BadParameter` naming what would have been valid.

    >>> parse("agreement:confidence=0.9,max=8")
    Spec(name='agreement:confidence=0.9,max=8', policy=agreement(confidence=0.9, window=1), select=None, limit=8, keep=None)
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise _unknown(text, "policy", kind, KINDS)
    types = _types(kind)
    given: dict[str, Any] = {}
    select = _SELECT.get(kind)
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name == "select":
            select = _choice(text, "selection", value, SELECTIONS)
        elif name in types and name in CHOICES:
            given[name] = _choice(text, name, value, CHOICES[name])
        elif name in types:
            given[name] = _number(text, name, value, types[name])
        else:
            raise _unknown(text, f"field of {kind}", name, (*types, "select"))
    limit, impatience = given.pop("max", None), given.pop("impatience", None)
    policy = KINDS[kind](**given)
    _check_prior(text, policy, given)
    if limit is None and isinstance(policy, fixed):
        limit = policy.n
    return Spec(text, policy, select, limit, _keep(text, policy, impatience))


def _types(kind: str) -> dict[str, type[int | float]]:
    """The fields that a kind takes on the command line, with the type of each."""
    own = {
        field.name: _NUMBERS.get(str(field.type), float)
        for field in fields(KINDS[kind])
        if field.name != "prices"
    }
    return own | {"max": int} | ({"impatience": float} if kind == "optimal-stopping" else {})


def _keep(text: str, policy: Policy, impatience: float | None) -> Keep | None:
    """Whether open answers are worth finishing, at the prices of the stopping rule."""
    if impatience is None or not isinstance(policy, optimal_stopping):
        return None
    if not policy.per_tokens:
        message = (
            f"{text!r}: impatience reads answers step by step, which needs a price of tokens; add per_tokens="
        )
        raise typer.BadParameter(message)
    return worth_finishing(policy.give_up, policy.per_tokens, impatience=impatience)


def _check_prior(text: str, policy: Policy, given: Mapping[str, object]) -> None:
    unused = [name for name in given if name.startswith("prior_")]
    if unused and isinstance(policy, score_distribution) and policy.method == "mle":
        message = (
            f"{text!r}: {unused[0]} is given, but method 'mle' has no prior; remove it, or add method=map"
        )
        raise typer.BadParameter(message)


def _choice(text: str, what: str, value: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise _unknown(text, what, value, valid)
    return value


def _number(text: str, name: str, value: str, kind: type[int | float]) -> float:
    holds, expected = _RANGES[name]
    try:
        number = kind(value)
    except ValueError:
        number = -1
    if not holds(number):
        message = f"{text!r}: {name}={value!r} must be {expected}"
        raise typer.BadParameter(message)
    return number


def _unknown(
    text: str, what: str, name: str, valid: Mapping[str, object] | tuple[str, ...]
) -> typer.BadParameter:
    near = get_close_matches(name, valid, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return typer.BadParameter(f"{text!r}: unknown {what} {name!r}; {hint}valid: {', '.join(valid)}")
