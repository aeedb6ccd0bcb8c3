"""Units of work: each is taken from the journal, or done once and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from adaptive_middleware.collect.control import Control, Spent
from adaptive_middleware.collect.failures import failure
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.records import Answer, answer_of, answer_row, cost
from adaptive_middleware.collect.scores import Scoring
from adaptive_middleware.collect.source import Source
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.ports import Verifier
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Request, Verdict
from adaptive_middleware.verify.attempt import Failed, attempt

Unit: TypeAlias = Mapping[str, Any]
_PROMPT_MARGIN = 64


@dataclass(frozen=True, slots=True)
class World:
    """What the work is done with. `seed` and a unit's key alone decide what the unit draws."""

    source: Source
    verifier: Callable[[Prompt], Verifier]
    scoring: Scoring
    system: str | None = None
    seed: int = 0

    @property
    def journal(self) -> Journal:
        """Where finished units are."""
        return self.scoring.journal

    @property
    def control(self) -> Control:
        """Whether more may be begun."""
        return self.scoring.control

    def request(self, prompt: Prompt) -> Request:
        """The request that asks `prompt`; the scorer reads its text, the question alone."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*system, {"role": "user", "content": prompt.question}]
        return Request(prompt.question, messages=messages, run_id=prompt.id)


def draw(world: World, prompt: Prompt, part: str, prefixes: Sequence[str], n: int) -> list[list[Answer]]:
    """`n` answers for each prefix, cut ones included, in the order drawn."""
    key = f"{part}:{prompt.id}"
    unit = world.journal.get(key)
    if unit is None:
        unit = _drawn(world, prompt, key, prefixes, n)
    return [[answer_of(row) for row in group] for group in unit["answers"]]


def check(world: World, prompt: Prompt, part: str, answers: Sequence[Answer]) -> list[bool | None]:
    """Whether each answer is right: a cut one never is, None where the check failed on it.

    Answers that an earlier run could not judge are asked about again.
    """
    key = f"check {part}:{prompt.id}"
    unit = world.journal.get(key)
    known: list[bool | None] = [None] * len(answers) if unit is None else list(unit["right"])
    waiting = [i for i, right in enumerate(known) if right is None]
    if unit is not None and not waiting:
        return known
    known = [right if answer.done else False for right, answer in zip(known, answers, strict=True)]
    waiting = [i for i in waiting if known[i] is None]
    world.control.begin(0)
    verdicts = _verdicts(world, prompt, [answers[i] for i in waiting])
    for i, verdict in zip(waiting, verdicts, strict=True):
        known[i] = verdict.passed
    causes = [verdict.detail for verdict in verdicts if verdict.passed is None]
    world.journal.put(key, {"right": known, **({"causes": causes} if causes else {})})
    return known


def spent(journal: Journal) -> Spent:
    """What all units of a journal have cost."""
    names = ("prompt_tokens", "completion_tokens", "prm_tokens")
    lines = [*journal.units.values(), *journal.lost]
    return Spent(*(sum(int(line.get(name, 0)) for line in lines) for name in names))


def most_tokens(source: Source, asked: str, n: int) -> int:
    """An upper bound of what `n` answers to a text cost: two bytes a token, and every answer to its limit."""
    return n * (source.max_tokens + len(asked.encode(errors="replace")) // 2 + _PROMPT_MARGIN)


def _drawn(world: World, prompt: Prompt, key: str, prefixes: Sequence[str], n: int) -> Unit:
    asked = (world.system or "") + prompt.question
    most = sum(most_tokens(world.source, asked + prefix, n) for prefix in prefixes)
    world.control.begin(most)
    used = Spent()
    try:
        extend = world.source.continuer.extend
        found = attempt(partial(extend, world.request(prompt), prefixes, n, _seed(world.seed, key)))
        if isinstance(found, Failed):
            raise failure(world.journal, world.control, key, "sampler", found)
        paths = [[drawn.path for drawn in group] for group in found]
        costs = [cost(group, asked + prefix) for group, prefix in zip(paths, prefixes, strict=True)]
        used = Spent(*(sum(one[name] for one in costs) for name in ("prompt_tokens", "completion_tokens")))
        _refuse_partial(world, key, found, n, used)
        unit = {"answers": [[answer_row(drawn) for drawn in group] for group in found], **_tokens(used)}
        world.journal.put(key, unit)
        world.control.worked("sampler")
    finally:
        world.control.end(most, used)
    return unit


def _refuse_partial(world: World, key: str, found: Sequence[Sequence[Drawn]], n: int, used: Spent) -> None:
    """A draw that lost some of its answers is done again as a whole: keeping the others would choose among them."""
    errors = [drawn.path.error for group in found for drawn in group if drawn.path.error is not None]
    if not errors and all(len(group) == n for group in found):
        return
    cause = errors[0] if errors else f"{min(map(len, found))} answers were drawn in place of {n}"
    raise failure(world.journal, world.control, key, "sampler", Failed(SamplerError(cause)), **_tokens(used))


def _tokens(used: Spent) -> dict[str, int]:
    return {"prompt_tokens": used.prompt_tokens, "completion_tokens": used.completion_tokens}


def _verdicts(world: World, prompt: Prompt, answers: Sequence[Answer]) -> list[Verdict]:
    verifier, request = world.verifier(prompt), world.request(prompt)
    verdicts = []
    for answer in answers:
        (verdict,) = verifier.verify(request, [answer.path()])
        verdicts.append(verdict)
        if verdict.passed is None:
            world.control.failed("check", f"prompt {prompt.id!r}: {verdict.detail}")
        else:
            world.control.worked("check")
    return verdicts


def _seed(seed: int, key: str) -> int:
    """A 63-bit seed for a unit, whatever was done before it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "little") >> 1
