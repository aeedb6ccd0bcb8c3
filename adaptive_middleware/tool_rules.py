"""Tool rules: what must hold before a call of a tool is returned, and which of its arguments say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from adaptive_middleware.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ToolRule:
    """The rule for calls of the tools whose name fits `name`, a shell pattern (`*`, `?`, `[abc]`; case counts).

    A call is returned when it is right with probability `target` (in (0, 1)), or once `samples` (>= 1) answers were
    drawn; without either, as any other answer. `on_fail` says what becomes of a call that misses its target:
    "return" it, or "abstain" from every call of that answer. Arguments named in `ignore` do not tell calls apart.
    Raises `ConfigError` for a number out of range, and for "abstain" without a target.
    """

    name: str
    target: float | None = None
    samples: int | None = None
    on_fail: Literal["return", "abstain"] = "return"
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.target is not None and not 0 < self.target < 1:
            raise _refused(
                self.name, f"target is {self.target!r}; it must lie between 0 and 1, both excluded"
            )
        if self.samples is not None and self.samples < 1:
            raise _refused(self.name, f"samples is {self.samples!r}; it must be at least 1")
        if self.on_fail == "abstain" and self.target is None:
            raise _refused(self.name, "on_fail is 'abstain', but there is no target to miss; give one")


def rule_of(name: str, rules: Sequence[ToolRule]) -> ToolRule | None:
    """The first of `rules` that is for the tool called `name`.

    >>> rules = (ToolRule("search", samples=1), ToolRule("delete_*", target=0.97))
    >>> rule_of("delete_user", rules).target, rule_of("add", rules)
    (0.97, None)
    """
    return next((rule for rule in rules if fnmatchcase(name, rule.name)), None)


def _refused(name: str, problem: str) -> ConfigError:
    return ConfigError(f"the rule of tool {name!r}: {problem}")
