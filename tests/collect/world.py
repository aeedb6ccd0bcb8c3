"""A small world for collections: a sampler, a scorer and a check whose truth is known, without any model.

An answer is a line for the seed's luck and one with the result; it is right when the luck is under the question's own chance, which is written
in the question. Everything is decided by the seed, so two runs can be compared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as File
from random import Random
from typing import Any

from adaptive_middleware.collect.control import Control, Spent
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.scores import Scoring
from adaptive_middleware.collect.source import Source
from adaptive_middleware.collect.units import World, spent
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Path, Request, StepScores, Usage
from adaptive_middleware.verify.exact import exact_answer


def prompts(count: int) -> list[Prompt]:
    """Questions with chances spread over (0, 1)."""
    rows = [(f"p{k}", (k % 9 + 1) / 10) for k in range(count)]
    return [
        Prompt(name, f"chance {chance}", {"id": name, "question": f"chance {chance}", "answer": "1"})
        for name, chance in rows
    ]


def prompts_file(file: File, count: int) -> File:
    """The same prompts on disk."""
    file.write_text("".join(json.dumps(dict(prompt.fields)) + "\n" for prompt in prompts(count)))
    return file


class Luck:
    """A `Continuer`: three steps, right with the question's chance, with token log-probabilities.

    `calls` keeps (question, prefixes, n, seed); `fail` may raise, given the number of the call. `cut` is the chance
    that an answer is cut before its end, although its text says the answer by then.
    """

    def __init__(
        self, *, fail: Callable[[int], None] = lambda _call: None, cut: float = 0.0, logprobs: bool = True
    ) -> None:
        self.id = "luck"
        self.calls: list[tuple[str, tuple[str, ...], int, int]] = []
        self._fail, self._cut, self._logprobs = fail, cut, logprobs

    def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
        self.calls.append((request.text, tuple(prefixes), n, seed))
        self._fail(len(self.calls))
        chance, dice = float(request.text.split()[1]), Random(seed)
        return [[self._answer(prefix, chance, dice, k) for k in range(n)] for prefix in prefixes]

    def _answer(self, prefix: str, chance: float, dice: Random, number: int) -> Drawn:
        luck = dice.random()
        written = [f"think {luck:.2f}\n", f"so {luck:.3f}\n", f"The answer is {int(luck < chance)}."]
        steps = [prefix, *written[prefix.count("\n") :]] if prefix else written
        done = dice.random() >= self._cut
        logprobs = tuple(-dice.random() for _ in written) if self._logprobs else None
        usage = Usage(prompt_tokens=4 * (number == 0), completion_tokens=3, requests=1)
        text = tuple(line for step in steps for line in step.splitlines(keepends=True))
        path = Path(text, done, "stop" if done else "length", logprobs=logprobs, usage=usage)
        return Drawn(path, (1, 2, 3)[: len(text)] if logprobs and not prefix else ())


class Hunch:
    """A scorer that knows the chance of the question, and of a finished answer whether it is right."""

    def __init__(self, *, fail: Callable[[int], None] = lambda _call: None) -> None:
        self.id, self.calls, self._fail = "hunch", 0, fail

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.calls += 1
        self._fail(self.calls)
        chance = float(request.text.split()[1])
        return [StepScores(tuple(self._values(chance, path)), tokens=len(path.steps) + 2) for path in paths]

    def _values(self, chance: float, path: Path) -> list[float]:
        doubt = Random(path.text).random() * 0.2
        known = 0.9 * ("is 1" in path.text) + 0.1 * (1 - chance) if path.done and path.steps else chance
        return [min(max(known * 0.8 + doubt, 0.0), 1.0)] * max(len(path.steps), 1)


def luck(**args: Any) -> Luck:
    """A sampler by import path; it counts its calls in the file that LUCK_CALLS names."""
    counter = os.environ.get("LUCK_CALLS")

    def count(_call: int) -> None:
        if counter:
            with File(counter).open("a") as file:
                file.write("x\n")

    return Luck(fail=count, **args)


def hunch() -> Hunch:
    """A scorer by import path."""
    return Hunch()


def right(fields: Mapping[str, Any], text: str) -> bool:
    """A check by import path; it fails where CHECK_FAILS is set."""
    if os.environ.get("CHECK_FAILS"):
        message = "the check is out of order"
        raise RuntimeError(message)
    return f"is {fields['answer']}" in text


IDENTITY = {"prompts": "abc", "answers": 4}


def world(
    journal: Journal, sampler: Luck | None = None, scorer: Hunch | None = None, *, budget: int | None = None,
    max_errors: int = 3, continues: bool = True, together: int = 1, concurrent: bool = True, **settings: Any,
) -> World:  # fmt: skip
    """A world over a journal."""
    source = Source(
        "luck", sampler or Luck(), 3, continues=continues, together=together, concurrent=concurrent
    )
    control = Control(budget, spent(journal), max_errors)
    scoring = Scoring(scorer or Hunch(), journal, control)
    return World(source, lambda prompt: exact_answer(str(prompt.fields["answer"])), scoring, **settings)


NOTHING = Spent()
