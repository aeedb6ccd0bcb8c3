"""Stage-1 data of the PRM: right solutions and, leaving them at a random step, wrong ones; every token labelled."""

import itertools
import random
from collections.abc import Iterator

from adaptive_middleware.lab.problems import Problem, apply, stories
from bench.lab import text
from bench.lab.corrupt import corrupt
from bench.lab.trees import Branch, Row

AT_MARKER = 4.0
_HARD_ONES_TWICE = (1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8)


def _weights(step: list[int]) -> list[float]:
    return [1.0] * (len(step) - 1) + [AT_MARKER]


def main_path(problem: Problem) -> Branch:
    """The written-out solution; every token of it is right and worth predicting."""
    steps = text.marked(problem.steps)
    tokens = list(itertools.chain(*steps))
    return Branch(
        0, tokens, [1.0] * len(tokens), list(itertools.chain(*map(_weights, steps))), [True] * len(tokens)
    )


def _is_true(line: str) -> bool:
    """Whether the line holds as arithmetic, whatever the story says."""
    left, symbol, right, _, result = line.split() if line.count(" ") == 4 else ("0", "+", "0", "=", "x")
    return result.isdigit() and apply(symbol, int(left), int(right)) == int(result)


def wrong_branch(problem: Problem, rng: random.Random) -> Branch:
    """One mistake and up to all of what follows from it."""
    first, lines = corrupt(problem, rng)
    right = text.marked(problem.steps)
    shared = sum(map(len, right[:first]))
    end = first + 1 + rng.choice((0, 0, 1, 1, 2, 99))
    steps = text.marked(lines[first:end])
    same = 0
    while same < min(len(steps[0]), len(right[first])) and steps[0][same] == right[first][same]:
        same += 1
    tokens = list(itertools.chain(*steps))
    targets = [1.0] * same + [0.0] * (len(tokens) - same)
    computed = "=" in lines[first] and _is_true(lines[first])
    result = len(text.plain(lines[first].split("=")[0])) if computed else len(steps[0])
    language = [offset > result for offset in range(len(tokens))]
    return Branch(shared, tokens, targets, list(itertools.chain(*map(_weights, steps))), language)


def row(problem: Problem, wrong: int, rng: random.Random) -> Row:
    """The right solution and `wrong` wrong ones."""
    branches = [main_path(problem), *(wrong_branch(problem, rng) for _ in range(wrong))]
    return Row(text.prompt(problem.question), branches)


def rows(seed: int, wrong: int = 4) -> Iterator[Row]:
    """Endless rows: a right solution and `wrong` wrong ones of one training story."""
    rng = random.Random(f"synthetic:{seed}")
    for problem in stories("train", 1_000 + seed, _HARD_ONES_TWICE):
        yield row(problem, wrong, rng)


def batches(seed: int, size: int, wrong: int) -> Iterator[list[Row]]:
    """Rows of similar length together."""
    feed, rng = rows(seed, wrong), random.Random(seed)
    while True:
        pool = sorted(itertools.islice(feed, size * 8), key=len)
        groups = [pool[start : start + size] for start in range(0, len(pool), size)]
        rng.shuffle(groups)
        yield from groups
