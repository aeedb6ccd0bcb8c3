"""Wrong solutions that look right: one mistake, then consistent work on top of it."""

import random
from collections.abc import Callable, Sequence

from adaptive_middleware.lab.problems import Move, Problem, apply, first_wrong_step
from adaptive_middleware.lab.words import conclude

_LARGEST = 9999


def _lines(moves: Sequence[Move], wrong: dict[int, int]) -> list[str] | None:
    """The moves as lines, some results replaced; None where a number would be impossible."""
    results: list[int] = []
    lines: list[str] = []
    for index, (left, symbol, right) in enumerate(moves):
        a, b = (n if n >= 0 else results[-n - 1] for n in (left, right))
        results.append(wrong.get(index, apply(symbol, a, b)))
        if not 0 <= results[-1] <= _LARGEST:
            return None
        lines.append(f"{a} {symbol} {b} = {results[-1]}")
    return [*lines, conclude(results[-1] if results else moves[0].left)]


def _result(problem: Problem, index: int) -> int:
    return int(problem.steps[index].rsplit(" ", 1)[1])


def nearby(number: int, rng: random.Random) -> int:
    """A number that a careless calculation gives: a digit changed, off by one, ten or a hundred, digits swapped."""
    digits = list(str(number))
    kind = rng.random()
    if kind < 0.4:
        place = rng.randrange(len(digits))
        digits[place] = rng.choice("123456789" if place == 0 else "0123456789")
    elif kind < 0.5 and len(digits) > 1:
        place = rng.randrange(len(digits) - 1)
        digits[place : place + 2] = digits[place : place + 2][::-1]
    elif kind < 0.54:
        digits.pop(rng.randrange(len(digits)))
    else:
        return max(0, number + rng.choice((-1, 1)) * rng.choice((1, 1, 2, 10, 10, 11, 9, 100)))
    return int("".join(digits) or "0")


def _miscalculated(problem: Problem, index: int, rng: random.Random) -> list[str] | None:
    return _lines(problem.plan, {index: nearby(_result(problem, index), rng)})


def _replaced(problem: Problem, index: int, move: Move) -> list[str] | None:
    moves = list(problem.plan)
    moves[index] = move
    return _lines(moves, {})


def _misread(problem: Problem, index: int, rng: random.Random) -> list[str] | None:
    """Another number of the story, or a number copied badly, or an earlier result."""
    move = problem.plan[index]
    told = [int(word) for word in problem.question.replace(".", " ").split() if word.isdigit()]
    side = "left" if rng.random() < 0.35 else "right"
    old = move.left if side == "left" else move.right
    shown = old if old >= 0 else _result(problem, -old - 1)
    earlier = [-k for k in range(1, index + 1)]
    new = rng.choice(
        (rng.choice(told), rng.choice(told), nearby(shown, rng), *(rng.sample(earlier, 1) if earlier else ()))
    )
    return _replaced(problem, index, move._replace(**{side: new}))


def _misused(problem: Problem, index: int, rng: random.Random) -> list[str] | None:
    """The wrong operation on the right numbers."""
    move = problem.plan[index]
    return _replaced(problem, index, move._replace(symbol=rng.choice("+-*".replace(move.symbol, ""))))


def _skipped(problem: Problem, index: int, rng: random.Random) -> list[str] | None:
    """One operation left out; what would have used its result uses what went into it."""
    gone, kept = problem.plan[index], [*problem.plan[:index], *problem.plan[index + 1 :]]
    stand_in = gone.left if gone.left < 0 or rng.random() < 0.8 else gone.right

    def moved(operand: int) -> int:
        if operand == -(index + 1):
            return stand_in
        return operand + 1 if operand < -(index + 1) else operand

    return _lines([Move(moved(a), symbol, moved(b)) for a, symbol, b in kept], {}) if kept else None


def _early(problem: Problem, index: int, _: random.Random) -> list[str] | None:
    """The conclusion comes before the work is done."""
    return [*problem.steps[:index], conclude(_result(problem, index - 1))] if index else None


def _repeated(problem: Problem, index: int, _: random.Random) -> list[str] | None:
    """One operation done twice."""
    last = problem.plan[index]
    lines = _lines([*problem.plan[: index + 1], Move(-(index + 1), last.symbol, abs(last.right))], {})
    return lines if lines and last.right >= 0 else None


def _misquoted(problem: Problem, _: int, rng: random.Random) -> list[str] | None:
    """All work is right, but the conclusion names another number."""
    return [*problem.steps[:-1], conclude(nearby(problem.answer, rng))]


_KINDS: dict[Callable[[Problem, int, random.Random], list[str] | None], int] = {
    _miscalculated: 50, _misread: 22, _misused: 6, _skipped: 8, _early: 4, _repeated: 4, _misquoted: 6,
}  # fmt: skip


def corrupt(problem: Problem, rng: random.Random) -> tuple[int, list[str]]:
    """(index of the first wrong step, steps) of a wrong solution."""
    while True:
        kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        steps = kind(problem, rng.randrange(len(problem.plan)), rng)
        wrong = None if steps is None else first_wrong_step(problem, steps)
        if steps is not None and wrong is not None:
            return wrong, steps
