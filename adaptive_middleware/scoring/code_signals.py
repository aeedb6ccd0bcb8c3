"""Signals of code as step scores: 0 for code that cannot become a program, less for each name that it lacks, never a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adaptive_middleware.code.parsing import standing
from adaptive_middleware.code.signals import Signals, entry_of, signals_of
from adaptive_middleware.types import Path, Request, StepScores

CLEAN = 0.5


@dataclass(frozen=True, slots=True)
class code_signals:  # noqa: N801 - reads as a word, like the policies
    """The `Scorer` port over `signals_of`: needs no model, takes calls from any thread.

    A step's score is 0 once the code before its end is broken, or, at the end of an answer, when there is no whole program;
    else 0.5 / (1 + k) with k names that the last step leaves undefined (at the end, the wanted function is one of them).
    So 0.5 says that nothing speaks against the answer: these scores reject, and never make an answer look right.
    The wanted function is `entry`, or else what the question shows (`entry_of`); a question that is code is
    taken for the beginning of the program. Where the text is unfinished, only whole lines count.
    """

    entry: str | None = None

    @property
    def id(self) -> str:
        """What calibration bundles call these scores."""
        return "code-signals"

    @property
    def concurrent(self) -> Literal[True]:
        """Nothing is shared between calls."""
        return True

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """One `StepScores` per path, in order; a path without steps gets 0.5."""
        question = request.text if request.text.endswith("\n") else f"{request.text}\n"
        entry = entry_of(question) if self.entry is None else self.entry
        prompt = question if entry_of(question) and standing(question) != "broken" else ""
        return [StepScores(_values(path, prompt, entry)) for path in paths]

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        """As `score`."""
        return self.score(request, paths)


def _values(path: Path, prompt: str, entry: str | None) -> tuple[float, ...]:
    """Scores of the steps; where the code is broken in the end, the first broken step is found by halving."""
    steps = path.steps
    if not steps:
        return (CLEAN,)

    def after(count: int) -> Signals | None:
        return signals_of("".join(steps[:count]), prompt, entry, done=path.done and count == len(steps))

    last = after(len(steps))
    clean, broken = 0, len(steps)
    if last is None or last.standing != "broken":
        return (*[CLEAN] * (broken - 1), value(last, done=path.done))
    while broken - clean > 1:
        middle = (clean + broken) // 2
        found = after(middle)
        if found is not None and found.standing == "broken":
            broken = middle
        else:
            clean = middle
    return tuple(CLEAN if i < clean else 0.0 for i in range(len(steps)))


def value(signals: Signals | None, *, done: bool) -> float:
    """The score that the signals of an answer come to, in [0, 0.5].

    >>> value(Signals("open", ("g",)), done=False), value(Signals("open"), done=True), value(None, done=False)
    (0.25, 0.0, 0.5)
    """
    if signals is None:
        return 0.0 if done else CLEAN
    if signals.standing == "broken" or (done and signals.standing != "whole"):
        return 0.0
    lacking = len(signals.undefined) + int(done and not signals.defines_entry)
    return CLEAN / (1 + lacking)
