"""One problem, from its answers to its measured paths; all that is finished comes from the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TypeAlias

from adaptive_middleware.answers import text_answer
from adaptive_middleware.collect.measured import Measured, Problem, Tally
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.records import Answer, Prefix, cuts
from adaptive_middleware.collect.scores import score
from adaptive_middleware.collect.units import World, check, draw
from adaptive_middleware.types import Path

Ends: TypeAlias = dict[tuple[str, ...], list["bool | None"]]
"""How the continuations of a prefix ended; () is the question alone."""

Judged: TypeAlias = tuple[Prefix, bool, list["bool | None"]]
"""A path, whether it is finished, and how it or its continuations ended."""

Scores: TypeAlias = dict[tuple[tuple[str, ...], bool], tuple[float, ...]]
"""Step scores by steps and whether they are a finished answer."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is drawn for each problem: whole answers, cuts of each, and continuations of each cut."""

    answers: int = 4
    prefixes: int = 2
    rollouts: int = 8


def measure(world: World, prompt: Prompt, size: Size) -> Problem:
    """The measured paths of a problem: the question alone, prefixes, and finished answers.

    The question's rollouts are the answers themselves, and more where `rollouts` asks for more. Answers that
    their limit cut are wrong, like every rollout that was. Raises `Stopped` and `UnitFailed`.
    """
    (answers,) = draw(world, prompt, "answers", [""], size.answers)
    right = check(world, prompt, "answers", answers)
    extra = max(size.rollouts - size.answers, 0)
    asked, judged = list(answers), list(right)
    if extra:
        (more,) = draw(world, prompt, "question", [""], extra)
        asked += more
        judged += check(world, prompt, "question", more)
    chance = Random(f"{world.seed}:{prompt.id}")  # noqa: S311 - a choice of cuts, not a secret
    chosen = cuts(answers, size.prefixes, chance) if world.source.continues else []
    ends, continued = _rolled_out(world, prompt, chosen, size.rollouts)
    ends[()] = judged
    paths = [(prefix, False, ends[prefix.steps]) for prefix in (Prefix(), *chosen)]
    for answer, verdict in zip(answers, right, strict=True):
        paths.append((Prefix(answer.steps, answer.logprobs, answer.tokens), True, [verdict]))
    scores = _scored(world, prompt, paths)
    return Problem(prompt.id, _rows(prompt, paths, scores), _tally([*asked, *continued], right, ends, scores))


def _rolled_out(world: World, prompt: Prompt, chosen: Sequence[Prefix], n: int) -> tuple[Ends, list[Answer]]:
    """Verdicts of the continuations of each different prefix, and all continuations."""
    different = iter(list(dict.fromkeys(prefix.steps for prefix in chosen)))
    together = max(1, world.source.together // n)
    ends: Ends = {}
    everything: list[Answer] = []
    number = 0
    while batch := list(islice(different, together)):
        part = f"rollouts {number}"
        groups = draw(world, prompt, part, ["".join(steps) for steps in batch], n)
        flat = [answer for group in groups for answer in group]
        verdicts = check(world, prompt, part, flat)
        ends |= {steps: verdicts[k * n : (k + 1) * n] for k, steps in enumerate(batch)}
        everything += flat
        number += 1
    return ends, everything


def _scored(world: World, prompt: Prompt, paths: Sequence[Judged]) -> Scores:
    """Step scores of each different path that has a text, and of the question."""
    wanted = list(
        dict.fromkeys((path.steps, done) for path, done, _ in paths if path.text.strip() or not done)
    )
    found = score(world.scoring, prompt, [Path(steps, done=done) for steps, done in wanted])
    return dict(zip(wanted, found, strict=True))


def _rows(prompt: Prompt, paths: Sequence[Judged], scores: Scores) -> tuple[Measured, ...]:
    """Rows of the paths with a verdict and with scores; the tally counts the others."""
    rows = []
    for path, done, verdicts in paths:
        known = [verdict for verdict in verdicts if verdict is not None]
        values = scores.get((path.steps, done), ())
        if known and values:
            ends, size = (sum(known), len(known)), path.tokens
            rows.append(
                Measured(prompt.id, prompt.level, path.steps, done, *ends, path.logprobs, values, size)
            )
    return tuple(rows)


def _tally(
    everything: Sequence[Answer],
    right: Sequence[bool | None],
    ends: Ends,
    scores: Scores,
) -> Tally:
    verdicts = [verdict for group in ends.values() for verdict in group]
    return Tally(
        answers=len(right),
        right=sum(verdict is True for verdict in right),
        rollouts=len(everything) - len(right),
        cut=sum(not answer.done for answer in everything),
        unjudged=sum(verdict is None for verdict in verdicts),
        unparsable=sum(answer.done and text_answer(answer.text) is None for answer in everything),
        unscored=sum(not values for values in scores.values()),
    )
