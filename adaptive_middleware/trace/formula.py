"""A decision's rule with its numbers put in, and what other numbers would have made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Numbers = Mapping[str, float]


def formula(decision: Mapping[str, Any]) -> str | None:
    """The inequality that was decided by, with its numbers; None for a decision without one.

    >>> formula({"numbers": {"leader": 0.42, "target": 0.9, "next": 0.3, "gain": 0.08, "price": 0.01}})
    'P(best is right) = 0.420 < 0.900 = target; gain = E[max(c - 0.420, 0)] = 0.08 >= 0.01 = price, where one more sample is right with p = 0.300'
    """
    numbers = {name: value for name, value in decision["numbers"].items() if value is not None}
    for names, written in _FORMULAS:
        if numbers.keys() >= names:
            return written(numbers)
    return None


def drops(decision: Mapping[str, Any]) -> bool:
    """Whether a decision was about one open answer: that it is not worth finishing."""
    return not decision["more"] and str(decision["because"]).startswith("dropped after ")


def would_change(report: Mapping[str, Any]) -> list[str]:
    """What would have changed the last decision about samples, in words with numbers; empty where the numbers do not tell."""
    own = [decision for decision in report["decisions"] if not drops(decision)]
    if not own:
        return []
    last: Mapping[str, Any] = own[-1]
    numbers = {name: value for name, value in last["numbers"].items() if value is not None}
    if last["because"].startswith("all ") and report["samples"] >= report["max_samples"]:
        return [f"a `max_samples` above {report['max_samples']}: the policy asked for more"]
    for names, changed in _CHANGES:
        if numbers.keys() >= names:
            return list(changed(numbers, last["more"]))
    return []


def _stopping(n: Numbers) -> str:
    return (
        f"P(best is right) = {n['leader']:.3f} {_sign(n['leader'], n['target'])} {n['target']:.3f} = target; "
        f"gain = E[max(c - {n['leader']:.3f}, 0)] = {n['gain']:.3g} {_sign(n['gain'], n['price'])} {n['price']:.3g} = price, "
        f"where one more sample is right with p = {n['next']:.3f}"
    )


def _agreement(n: Numbers) -> str:
    first, second, stays = n["first"], n["second"], n["stays_leader"]
    return (
        f"votes {first:g}:{second:g}; P(X > 1/2), X ~ Beta({first:g} + 1, {second:g} + 1), = {stays:.4f} "
        f"{_sign(stays, n['confidence'])} {n['confidence']:g} = confidence"
    )


def _weighted(n: Numbers) -> str:
    return (
        f"weights {n['first']:.3f}:{n['second']:.3f}; one more sample turns the vote with {n['turns']:.3g} "
        f"{_sign(n['turns'], n['price'])} {n['price']:.3g} = price"
    )


def _difficulty(n: Numbers) -> str:
    p, confidence = n["p_lower"], n["confidence"]
    return f"N = ln(1 - {confidence:g}) / ln(1 - {p:.4f}) = {n['wanted']:g}, at most {n['cap']:g}"


def _tool(n: Numbers) -> str:
    return (
        f"P(best is right) = {n['p']:.3f} {_sign(n['p'], n['target'])} {n['target']:.3f} = target of the tool"
    )


def _sign(left: float, right: float) -> str:
    return ">=" if left >= right else "<"


_FORMULAS: tuple[tuple[frozenset[str], Callable[[Numbers], str]], ...] = (
    (frozenset({"leader", "target", "next", "gain", "price"}), _stopping),
    (frozenset({"first", "second", "stays_leader", "confidence"}), _agreement),
    (frozenset({"first", "second", "turns", "price"}), _weighted),
    (frozenset({"p_lower", "confidence", "wanted", "cap"}), _difficulty),
    (frozenset({"p", "target"}), _tool),
)


def _stopping_changed(n: Numbers, more: int) -> Iterator[str]:
    leader, target, gain, price = n["leader"], n["target"], n["gain"], n["price"]
    worth = gain >= price
    if more:
        yield f"a `target` of at most {leader:.3f}: the best answer would have been enough"
        yield f"a price above {gain:.3g} (now {price:.3g}): more would not have been worth it"
    elif leader >= target and worth:
        yield f"a `target` above {leader:.3f} (now {target:g}): one more sample gains {gain:.3g}, above its price {price:.3g}"
    elif leader >= target:
        yield (
            f"a `target` above {leader:.3f} (now {target:g}) together with a price of at most {gain:.3g} (now {price:.3g}): "
            "either alone would still have stopped"
        )
    else:
        yield f"a price of at most {gain:.3g} (now {price:.3g}): a `give_up` of at most {_times(gain, price)} the one in use"


def _times(gain: float, price: float) -> str:
    return "0 times" if price <= 0 else f"{gain / price:.2g} times"


def _agreement_changed(n: Numbers, more: int) -> Iterator[str]:
    stays, confidence = n["stays_leader"], n["confidence"]
    if more:
        yield f"a `confidence` of at most {stays:.4f} (now {confidence:g})"
    else:
        yield f"a `confidence` above {stays:.4f} (now {confidence:g})"
        yield f"one more vote for the second answer ({n['second']:g}) would have lowered the {stays:.4f}"


def _priced(n: Numbers, more: int) -> Iterator[str]:
    turns, price = n["turns"], n["price"]
    yield f"a price {'above' if more else 'of at most'} {turns:.3g} (now {price:.3g})"


def _difficulty_changed(n: Numbers, _: int) -> Iterator[str]:
    p, wanted, cap = n["p_lower"], n["wanted"], n["cap"]
    if wanted > cap:
        yield f"a `cap` above {cap:g}: {wanted:g} samples were asked for"
    else:
        yield f"another lower bound of the question (now {p:.3f}) or another `confidence` (now {n['confidence']:g})"


def _tool_changed(n: Numbers, more: int) -> Iterator[str]:
    yield f"a `target` of the tool {'of at most' if more else 'above'} {n['p']:.3f} (now {n['target']:g})"


_CHANGES: Sequence[tuple[frozenset[str], Callable[[Numbers, int], Iterator[str]]]] = (
    (_FORMULAS[0][0], _stopping_changed),
    (_FORMULAS[1][0], _agreement_changed),
    (_FORMULAS[2][0], _priced),
    (_FORMULAS[3][0], _difficulty_changed),
    (_FORMULAS[4][0], _tool_changed),
)
