"""Tool calls against the JSON schemas of the tools that the request offers: what the tool would refuse never wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeAlias, cast

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Path, Request, ToolCall, Verdict
from adaptive_middleware.verify.attempt import Failed, attempt
from adaptive_middleware.verify.offered_tools import OfferedTools, offered_tools

_CALLED = frozenset({"tool_calls", "tool_use", "function_call"})
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class tool_schema:  # noqa: N801 - verifiers read as words
    """The `Verifier` port: an answer with a call that cannot run is wrong; any other answer is undecided.

    Wrong is a call of a tool that the request does not offer, arguments that are missing, not known or not what the schema
    says, one id for two calls, a call that could not be read (the provider says that a tool was called, and there is
    none), and an answer with neither text nor calls. A call that can run may still be the wrong one, so it never
    passes: its verdict is None, and scores and votes decide among such answers. None, too, is what cannot be judged: a
    tool without a schema, or with one that is broken or refers to another place (nothing is fetched). `format` is not
    checked. Raises `ConfigError` where jsonschema is not installed.

    >>> add = {"name": "add", "parameters": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}
    >>> calls = [Path(tool_calls=(ToolCall("add", given),)) for given in ({"a": 1}, {"a": "1"}, {})]
    >>> [verdict.passed for verdict in tool_schema().verify(Request("?", tools=[add]), calls)]
    [None, False, False]
    """

    def __post_init__(self) -> None:
        if find_spec("jsonschema") is None:
            message = (
                "tool calls are checked with jsonschema, which is not installed: "
                "pip install 'adaptive-middleware[tools]'"
            )
            raise ConfigError(message)

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        """One verdict per path; the detail of a wrong one says which call and why."""
        offered = offered_tools(request.tools)
        called = {call.name for path in paths for call in path.tool_calls}
        checks = {
            name: attempt(partial(_check, schema))
            for name, schema in offered.schemas.items()
            if schema is not None and name in called
        }
        return [_verdict(path, offered, checks) for path in paths]


_Check: TypeAlias = Callable[[Mapping[str, object]], list[str]]
"""Arguments -> what is wrong with them."""


def _verdict(path: Path, offered: OfferedTools, checks: Mapping[str, _Check | Failed]) -> Verdict:
    if not path.tool_calls:
        return _without_calls(path)
    reasons, unknown = list(_shared_ids(path.tool_calls)), []
    for call in path.tool_calls:
        found = _faults(call, offered, checks.get(call.name))
        if isinstance(found, Failed):
            unknown.append(f"{call.name}: its schema cannot be used ({found.cause[:_SHOWN]})")
        else:
            reasons += found
    if reasons:
        return Verdict(passed=False, detail="; ".join(reasons))
    return Verdict(None, "; ".join(unknown))


def _without_calls(path: Path) -> Verdict:
    if path.finish_reason in _CALLED:
        return Verdict(passed=False, detail="a tool was called, but the call cannot be read")
    if not path.text.strip():
        return Verdict(passed=False, detail="neither text nor a tool call")
    return Verdict(None, "no tool is called")


def _shared_ids(calls: Sequence[ToolCall]) -> Iterator[str]:
    for name, count in Counter(call.id for call in calls if call.id).items():
        if count > 1:
            yield f"{count} calls have the id {name!r}"


def _faults(call: ToolCall, offered: OfferedTools, check: _Check | Failed | None) -> list[str] | Failed:
    """What is wrong with a call, or why its schema cannot say."""
    if call.name not in offered.schemas and offered.complete:
        return [f"there is no tool {call.name!r}; offered: {', '.join(offered.schemas)}"]
    if check is None or isinstance(check, Failed):
        return check or []
    found = attempt(partial(check, call.arguments))
    return found if isinstance(found, Failed) else [f"{call.name}: {fault}" for fault in found]


def _check(schema: Mapping[str, object]) -> _Check:
    """The check of arguments against `schema`; raises whatever a schema raises that is none."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - an extra
    from jsonschema.validators import validator_for  # noqa: PLC0415 - an extra
    from referencing import Registry  # noqa: PLC0415 - comes with jsonschema

    written = dict(schema)
    dialect = validator_for(written, default=Draft202012Validator)
    dialect.check_schema(written)
    # a registry of its own knows no other documents: with the default one, jsonschema fetches what `$ref` names
    checker = dialect(written, registry=Registry())

    def check(arguments: Mapping[str, object]) -> list[str]:
        faults = checker.iter_errors(cast("Any", dict(arguments)))
        return sorted(f"{fault.json_path}: {fault.message[:_SHOWN]}" for fault in faults)

    return check
