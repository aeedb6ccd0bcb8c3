"""Per tool: how many samples a call of a tool needs is that tool's rule; all other answers get what another policy says."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.ports import Policy
from adaptive_middleware.tool_rules import ToolRule, rule_of
from adaptive_middleware.types import Decision, State


@dataclass(frozen=True, slots=True)
class per_tool:
    """Draw what the rules of the tools ask for that the leading answer calls.

    A tool with a `target` is sampled until the leading answer is right with that probability, at most `samples` times (all
    that the call may draw, without it): as many at a time as `otherwise` asks for, at least one. A tool with
    `samples` alone gets exactly so many. Where an answer calls several tools, the largest draw of all is made;
    tools without a rule, and answers without calls, get what `otherwise` says. The first draw is a single sample, because
    only an answer tells which tools are called. Where the leading answer failed verification its call cannot be
    returned in earnest: `samples` alone then ends nothing.
    """

    otherwise: Policy
    rules: tuple[ToolRule, ...]

    def __call__(self, state: State) -> Decision | int:
        """A further draw, or none when every called tool has what it needs."""
        decided = self.otherwise(state)
        more = decided.more if isinstance(decided, Decision) else decided
        if not state.drawn:
            return decided if more <= 1 else Decision(1, "the first sample says which tools are called")
        names, rejected = _called(state)
        found = [(name, rule_of(name, self.rules)) for name in names]
        ruled = [(name, rule) for name, rule in found if rule is not None and _counts(rule, rejected)]
        if not ruled:
            return decided
        needs = [_need(name, rule, state, more) for name, rule in ruled]
        need = max(needs, key=lambda each: each.more)
        return decided if len(ruled) < len(names) and more > need.more else need


def _called(state: State) -> tuple[list[str], bool]:
    """The names of the tools that the leading answer calls, each once, and whether that answer failed verification."""
    if state.leader is None:
        return [], False
    leading = state.candidates[state.leader.index]
    names = dict.fromkeys(call.name for call in leading.path.tool_calls)
    return list(names), leading.verdict is not None and leading.verdict.passed is False


def _counts(rule: ToolRule, rejected: bool) -> bool:
    """Whether the rule says how many samples are drawn."""
    return rule.target is not None or (rule.samples is not None and not rejected)


def _need(name: str, rule: ToolRule, state: State, more: int) -> Decision:
    room = max(min(rule.samples or state.limit, state.limit) - state.drawn, 0)
    if rule.target is None:
        return Decision(room, f"{name}: {rule.samples} samples for every call")
    p = None if state.leader is None else state.leader.probability
    numbers = {"target": rule.target} if p is None else {"p": p, "target": rule.target}
    known = "unknown" if p is None else f"{p:.3f}"
    if p is not None and p >= rule.target:
        return Decision(0, f"{name}: P(best is right) = {known} >= {rule.target:g}", numbers)
    short = f"{name}: P(best is right) = {known}, and {rule.target:g} is required"
    if not room:
        return Decision(0, f"{short}; all its samples are drawn", numbers)
    return Decision(min(max(more, 1), room), short, numbers)
