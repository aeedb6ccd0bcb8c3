"""What is scored: answers of random tokens to a prompt, in steps, even or ragged, grown step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random

from adaptive_middleware.scoring.rows import Ids, Row
from bench.scoring.costs import Work, branched, padded, separate
from bench.scoring.shapes import SEPARATOR, VOCABULARY


@dataclass(frozen=True, slots=True)
class Setting:
    """`answers` answers of `length` tokens on average in `steps` steps behind a prompt of `prompt` tokens.

    `ragged` answers are spread evenly over 0.5 to 1.5 times the length. `distinct` prompts differ in their
    first token, so that nothing can be shared.
    """

    answers: int
    prompt: int
    length: int
    steps: int
    ragged: bool = False
    distinct: bool = False

    def __str__(self) -> str:
        lengths = "0.5..1.5 L" if self.ragged else "even"
        return f"N={self.answers} P={self.prompt} L={self.length} S={self.steps} ({lengths})"


@dataclass(frozen=True, slots=True)
class Workload:
    """The prompts, one per answer, and the answers: for each its steps, which end with the separator."""

    prompts: tuple[Ids, ...]
    answers: tuple[tuple[Ids, ...], ...]

    @property
    def steps(self) -> int:
        """Steps of each answer."""
        return len(self.answers[0])

    @property
    def prompt(self) -> int:
        """Tokens of each prompt."""
        return len(self.prompts[0])

    @property
    def apart(self) -> Workload:
        """The same answers behind prompts that differ in their first token."""
        prompts = tuple((SEPARATOR + 1 + index, *prompt[1:]) for index, prompt in enumerate(self.prompts))
        return Workload(prompts, self.answers)

    def rows(self, steps: int) -> list[Row]:
        """Every answer's first `steps` steps behind its prompt, scored at the end of each."""
        return [
            _row(prompt, steps_[:steps]) for prompt, steps_ in zip(self.prompts, self.answers, strict=True)
        ]

    def tails(self, steps: int) -> list[int]:
        """Tokens of the first `steps` steps of each answer."""
        return [sum(map(len, answer[:steps])) for answer in self.answers]

    def alone(self, steps: int) -> Work:
        """Every row computed whole, without padding."""
        return separate([self.prompt + tail for tail in self.tails(steps)])

    def padded(self, steps: int) -> Work:
        """Every row computed whole, padded to the longest."""
        return padded([self.prompt + tail for tail in self.tails(steps)])

    def shared(self, steps: int) -> Work:
        """The prompt computed once, then every answer."""
        return branched(0, self.prompt, [0] * len(self.answers), self.tails(steps))

    def added(self, step: int) -> Work:
        """Step number `step`, from 1, when all before it is kept; the first includes the prompt."""
        kept = 0 if step == 1 else self.prompt
        return branched(kept, self.prompt, self.tails(step - 1), self.tails(step))


def workload(setting: Setting, seed: int = 0) -> Workload:
    """Random tokens, the same for the same setting and seed."""
    random = Random(f"{seed}:{setting}")
    prompt = _tokens(random, setting.prompt)
    answers = tuple(
        tuple((*_tokens(random, size - 1), SEPARATOR) for size in cut(length, setting.steps))
        for length in lengths(setting, random)
    )
    made = Workload((prompt,) * setting.answers, answers)
    return made.apart if setting.distinct else made


def lengths(setting: Setting, random: Random) -> list[int]:
    """Tokens of each answer, in random order; their mean is the setting's length, up to rounding.

    >>> sorted(lengths(Setting(4, 8, 16, 2, ragged=True), Random(0)))
    [10, 14, 18, 22]
    """
    if not setting.ragged:
        return [setting.length] * setting.answers
    spread = [setting.length * (0.5 + (i + 0.5) / setting.answers) for i in range(setting.answers)]
    random.shuffle(spread)
    return [round(length) for length in spread]


def cut(length: int, parts: int) -> list[int]:
    """A length in parts that differ by one token at most.

    >>> cut(11, 4)
    [2, 3, 3, 3]
    """
    edges = [length * part // parts for part in range(parts + 1)]
    return [after - before for before, after in pairwise(edges)]


def _tokens(random: Random, count: int) -> Ids:
    return tuple(random.choices(range(SEPARATOR + 1, VOCABULARY), k=count))


def _row(prompt: Ids, steps: Sequence[Ids]) -> Row:
    ends = accumulate((len(step) for step in steps), initial=len(prompt))
    return Row((*prompt, *(token for step in steps for token in step)), tuple(end - 1 for end in ends)[1:])
