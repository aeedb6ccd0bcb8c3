"""Tool calls by what they say: equal calls have one canonical form, however they are spelled or ordered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adaptive_middleware.tool_rules import ToolRule, rule_of
from adaptive_middleware.types import Path, ToolCall


def canonical_calls(calls: Sequence[ToolCall], rules: Sequence[ToolRule] = ()) -> str | None:
    """The calls of one answer in canonical form, as JSON; None when arguments cannot be written as JSON.

    Ids, the order of keys and the spelling of numbers do not count (1.0 is 1; true is not 1); texts count letter by
    letter. Arguments that a rule says to `ignore` are left out. The calls are a multiset: their order does not count,
    the number of equal ones does. The model wrote them all before it saw any result, so none can depend on what another
    returns, and agents run them at once; who needs an order must ask for one call a turn. The answer itself keeps the
    order in which it was written.

    >>> canonical_calls([ToolCall("b", {"y": [2.0], "x": None}), ToolCall("a", {"x": 1})])
    '[["a",{"x":1}],["b",{"x":null,"y":[2]}]]'
    >>> canonical_calls([ToolCall("a", {"x": 1, "why": "so"})], [ToolRule("a", ignore=("why",))])
    '[["a",{"x":1}]]'
    """
    try:
        return f"[{','.join(sorted(_canonical(call, rules) for call in calls))}]"
    except (TypeError, ValueError, RecursionError):
        return None


def read_answer(path: Path) -> Path:
    r"""The answer as a process reward model reads it: its tool calls are the last step, `name({"argument": value})` a line.

    >>> call = ToolCall("add", {"a": 1, "unit": "µm"})
    >>> read_answer(Path(("First I add.",), tool_calls=(call,))).steps
    ('First I add.\n\n', 'add({"a": 1, "unit": "µm"})')
    """
    if not path.tool_calls:
        return path
    written = "\n".join(map(_written, path.tool_calls))
    if not path.text.strip():
        return replace(path, steps=(written,))
    last = path.steps[-1].rstrip() + "\n\n"
    return replace(path, steps=(*path.steps[:-1], last, written))


def _written(call: ToolCall) -> str:
    try:
        return f"{call.name}({json.dumps(dict(call.arguments), ensure_ascii=False, default=_plain)})"
    except (TypeError, ValueError, RecursionError):
        return f"{call.name}(...)"


def _canonical(call: ToolCall, rules: Sequence[ToolRule]) -> str:
    rule = rule_of(call.name, rules)
    ignored = () if rule is None else rule.ignore
    said = {name: value for name, value in call.arguments.items() if name not in ignored}
    # Written and read once more: keys become text and whole numbers integers, as deep as JSON itself goes.
    plain = json.loads(json.dumps(said, default=_plain), parse_float=_number)
    return json.dumps([call.name, plain], sort_keys=True, separators=(",", ":"))


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value
