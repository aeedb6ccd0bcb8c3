"""Process reward model tokens as an engine that keeps prefixes counts them, and as one that does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware.scoring.rows import Layout
from adaptive_middleware.types import Path, Request, StepScores

Known = Callable[[Path], StepScores]
"""The scores of a path, from wherever they come."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of prompts and steps as the process reward model reads them, each counted once."""

    layout: Layout
    _known: dict[tuple[str, bool | None], int] = field(default_factory=dict)

    def prompt(self, question: str) -> int:
        """Tokens of everything but the steps."""
        if (question, None) not in self._known:
            self._known[question, None] = self.layout.fixed + len(self.layout.question(question))
        return self._known[question, None]

    def step(self, step: str, opening: bool) -> int:
        """Tokens of a step."""
        if (step, opening) not in self._known:
            self._known[step, opening] = len(self.layout.step(step, opening))
        return self._known[step, opening]


@dataclass(slots=True)
class CountingScorer:
    """The scorer of one call: what `known` says, with `tokens` as computed when prefixes are kept.

    Every prefix of prompt and steps counts once, as in the engine's tree. `rescored` sums what it would have been if
    every row were computed from scratch.
    """

    lengths: Lengths
    known: Known
    rescored: int = 0
    _seen: set[tuple[str, ...]] = field(default_factory=set)

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """The scores of all paths, in order."""
        return [replace(self.known(path), tokens=self._new(request.text, path)) for path in paths]

    def _new(self, question: str, path: Path) -> int:
        prompt = self.lengths.prompt(question)
        steps = path.steps or ("",)
        new, whole = (0 if self._seen else prompt), prompt
        for end, step in enumerate(steps, 1):
            length = self.lengths.step(step, end == 1)
            whole += length
            if steps[:end] not in self._seen:
                self._seen.add(steps[:end])
                new += length
        self.rescored += whole
        return new
