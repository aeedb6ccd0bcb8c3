"""Which calls a rule takes, and which verifier is asked for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from adaptive_middleware.config.calls import When
from adaptive_middleware.ports import Verifier
from adaptive_middleware.rules import every_call
from adaptive_middleware.types import Path, Request, Verdict


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which calls a rule takes: all that carry `tags`, and whose model and call site fit the patterns.

    Patterns are shell patterns, case counts: `*`, `?`, `[abc]`. A call that does not say its model (or call site)
    fits no pattern of it.

    >>> takes = Conditions(tags=frozenset({"codegen"}), model="o*")
    >>> takes(Request("q", tags=frozenset({"codegen", "beta"}), model="o5-mini"))
    True
    >>> takes(Request("q", tags=frozenset({"codegen"})))
    False
    """

    tags: frozenset[str] = frozenset()
    model: str | None = None
    call_site: str | None = None

    def __call__(self, request: Request) -> bool:
        """Whether every condition that was given holds for `request`."""
        pairs = ((request.model, self.model), (request.call_site, self.call_site))
        return self.tags <= request.tags and all(_fits(name, pattern) for name, pattern in pairs)


@dataclass(frozen=True, slots=True)
class VerifierOfRule:
    """Asks the verifier of the rule that takes the request; for rules with different verifiers."""

    verifiers: tuple[tuple[Callable[[Request], bool], Verifier | None], ...]

    def verify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """The verdicts of the verifier of the first rule that takes `request`; undecided without one."""
        verifier = next((one for when, one in self.verifiers if when(request)), None)
        return (
            [Verdict(None, "no verifier")] * len(paths)
            if verifier is None
            else verifier.verify(request, paths)
        )


def conditions(when: When | None) -> Callable[[Request], bool]:
    """What decides whether a rule takes a request; without `when`, it takes every one."""
    if when is None:
        return every_call
    return Conditions(frozenset(when.tags or ()), when.model, when.call_site)


def _fits(name: str | None, pattern: str | None) -> bool:
    return pattern is None or (name is not None and fnmatchcase(name, pattern))
