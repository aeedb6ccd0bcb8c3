r"""Graded arithmetic stories with one written-out solution each, and an exact checker.

A story is a chain of events (buys, gives away, doubles, packs of, more than, ...) with irrelevant numbers in
between. Its solution is one line per operation, `34 + 17 = 51`, and a last line, `The answer is 51.`

>>> problem = next(stories("test"))
>>> first_wrong_step(problem, problem.steps) is None, is_correct(problem, "\n".join(problem.steps))
(True, True)
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from adaptive_middleware.lab import words
from adaptive_middleware.lab.grades import GRADES, Grade

Split = Literal["train", "prm", "calibration", "test"]

LEVELS = range(1, 9)
HELD_OUT_PER_SPLIT = {"test": 800, "calibration": 800, "prm": 4000}


@dataclass(frozen=True, slots=True)
class Problem:
    """One story, its written-out solution and where each operand of the solution comes from."""

    id: str
    level: int
    question: str
    answer: int
    steps: tuple[str, ...]
    plan: tuple["Move", ...]


class Move(NamedTuple):
    """One operation; a negative operand -k stands for the result of line k (from 1)."""

    left: int
    symbol: str
    right: int


def apply(symbol: str, left: int, right: int) -> int:
    """The exact result of one operation: `+`, `-` or `*`."""
    return left + right if symbol == "+" else left - right if symbol == "-" else left * right


def line(symbol: str, left: int, right: int) -> str:
    """One right line of a solution.

    >>> line("+", 34, 17)
    '34 + 17 = 51'
    """
    return f"{left} {symbol} {right} = {apply(symbol, left, right)}"


class _Writer:
    """The story so far; made anew for each problem."""

    def __init__(self, grade: Grade, rng: random.Random) -> None:
        self.grade, self.rng = grade, rng
        self.people = rng.sample(words.PEOPLE, 6)
        self.items, *self.others = rng.sample(words.ITEMS, 4)
        self.value = rng.randint(2 if grade.operations < 3 else grade.start // 12, grade.start)
        self.result = self.value  # operand for the next move: the first number, later -k
        self.moves: list[Move] = []
        self.sentences: list[str] = []
        self.say(words.START, self.value)

    def say(self, templates: Sequence[str], n: int, k: int = 0) -> None:
        (name, pronoun), friend = self.people[0], self.rng.choice(self.people[1:])[0]
        who = pronoun if self.rng.random() < 0.5 else name
        text = self.rng.choice(templates).format(
            who=who, name=name, friend=friend, items=self.items, others=self.rng.choice(self.others), n=n, k=k
        )
        self.sentences.append(text)

    def move(self, symbol: str, n: int) -> None:
        self.moves.append(Move(self.result, symbol, n))
        self.value = apply(symbol, self.value, n if n >= 0 else _value(self.moves, n))
        self.result = -len(self.moves)

    def change(self, symbol: str) -> int | None:
        room = self.value - 1 if symbol == "-" else self.grade.limit - self.value
        return self.rng.randint(2, min(room, self.grade.change)) if room >= 2 else None

    def factor(self, size: int) -> int | None:
        most = min(9, self.grade.limit // max(size, 1))
        return self.rng.randint(2, most) if most >= 2 and size <= 99 else None

    def event(self, kind: str) -> bool:
        """Tell one event of this kind; False where the numbers leave no room for it."""
        if kind == "p":
            return self.packs()
        relation = kind == "r"
        symbol = {"g": "+", "l": "-", "t": "*"}.get(kind) or self.rng.choice("+-*")
        n = self.factor(self.value) if symbol == "*" else self.change(symbol)
        if n is None:
            return False
        told = {
            "+": (words.GAIN, words.MORE),
            "-": (words.LOSS, words.FEWER),
            "*": (words.TIMES, words.TIMES_AS_MANY),
        }[symbol][relation]
        if relation:
            self.relate(told, n)
        else:
            self.say(told, n)
        self.move(symbol, n)
        return True

    def relate(self, told: Sequence[str], n: int) -> None:
        """From here on the story is about somebody else."""
        old, new = self.people[0], self.people.pop(1)
        self.sentences.append(self.rng.choice(told).format(name=old[0], friend=new[0], items=self.items, n=n))
        self.people[0] = new
        if len(self.people) < 3:
            self.people.append(old)

    def packs(self) -> bool:
        size = self.rng.randint(2, 30)
        k = self.factor(size)
        if (
            k is None
            or self.value + k * size > self.grade.limit
            or self.grade.operations - len(self.moves) < 2
        ):
            return False
        self.say(words.PACKS, size, k)
        self.moves.append(Move(k, "*", size))
        self.move("+", -len(self.moves))
        return True

    def finish(self, level: int, name: str) -> Problem:
        while len(self.moves) < self.grade.operations:
            self.event(self.rng.choice(self.grade.events))
        (person, _), body = self.people[0], self.sentences
        for _ in range(self.grade.noise):
            self.say(words.NOISE, self.rng.randint(2, max(12, self.grade.change // 2)))
            body.insert(self.rng.randint(1, len(body) - 1), body.pop())
        ask = self.rng.choice(words.ASK).format(items=self.items, name=person)
        steps = (*written(self.moves), words.conclude(self.value))
        return Problem(name, level, " ".join([*body, ask]), self.value, steps, tuple(self.moves))


def _value(moves: Sequence[Move], operand: int) -> int:
    if operand >= 0:
        return operand
    left, symbol, right = moves[-operand - 1]
    return apply(symbol, _value(moves, left), _value(moves, right))


def written(moves: Sequence[Move]) -> list[str]:
    """The plan as right lines."""
    return [line(symbol, _value(moves, left), _value(moves, right)) for left, symbol, right in moves]


def make(level: int, rng: random.Random, name: str = "") -> Problem:
    """One problem of this level (1 to 8), whatever split it may belong to."""
    return _Writer(GRADES[level], rng).finish(level, name)


def _sequence(split: str, seed: int, levels: Sequence[int]) -> Iterator[Problem]:
    rng = random.Random(f"{split}:{seed}")  # noqa: S311 (a story, not a secret)
    index = 0
    while True:
        level = rng.choice(levels) if split == "train" else levels[index % len(levels)]
        yield make(level, rng, f"{split}-{index:05d}")
        index += 1


@cache
def _fixed(split: str) -> tuple[Problem, ...]:
    """The problems of one held-out split; no question occurs twice, here or in an earlier split."""
    names = list(HELD_OUT_PER_SPLIT)
    seen = {p.question for earlier in names[: names.index(split)] for p in _fixed(earlier)}
    kept: list[Problem] = []
    for problem in _sequence(split, 0, LEVELS):
        if problem.question not in seen:
            seen.add(problem.question)
            kept.append(problem)
        if len(kept) == HELD_OUT_PER_SPLIT[split]:
            break
    return tuple(kept)


def stories(split: Split, seed: int = 0, levels: Sequence[int] = LEVELS) -> Iterator[Problem]:
    """The problems of a split: endless for `train` (by seed), else fixed, levels 1 to 8 in turn.

    A question of another split never occurs in `train`.
    """
    if split != "train":
        yield from (p for p in _fixed(split) if p.level in levels)
        return
    held_out = {p.question for name in HELD_OUT_PER_SPLIT for p in _fixed(name)}
    yield from (p for p in _sequence("train", seed, levels) if p.question not in held_out)


_ANSWER = re.compile(r"The answer is (-?\d+)\.?")
_LINE = re.compile(r"(\d+) ([+*]) (\d+) = (-?\d+)")


def final_answer(text: str) -> int | None:
    """The number on the last `The answer is ...` line, or None."""
    found = _ANSWER.findall(text)
    return int(found[-1]) if found else None


def is_correct(problem: Problem, text: str) -> bool:
    """Whether the text ends in the right answer."""
    return final_answer(text) == problem.answer


def _normal(step: str) -> str:
    """The step with the smaller operand of a sum or product first."""
    match = _LINE.fullmatch(step.strip())
    if match is None:
        return step.strip()
    low, high = sorted((int(match[1]), int(match[3])))
    return f"{low} {match[2]} {high} = {match[4]}"


def first_wrong_step(problem: Problem, steps: Sequence[str]) -> int | None:
    """Index of the first step that leaves the written-out solution; None if there is none so far."""
    for index, step in enumerate(steps):
        if index >= len(problem.steps) or _normal(step) != _normal(problem.steps[index]):
            return index
    return None
