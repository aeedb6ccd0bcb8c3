"""Stage-2 data of the PRM: measured success rates of the policy's own prefixes, and stage-1 rows that keep it sharp."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adaptive_middleware.lab.problems import Problem, stories
from bench.lab import synthetic, text
from bench.lab.trees import Branch, Row

Record = dict[str, Any]
Rates = dict[tuple[str, ...], float]
ELSEWHERE, UNFINISHED, FINISHED = 0.5, 2.0, 4.0  # weights of a plain token and of the markers
ANSWERS = 4  # per problem and round


def read(*files: Path) -> list[Record]:
    """The records of these files."""
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def _rates(record: Record) -> Rates:
    return {tuple(p["steps"]): p["success"] / p["rollouts"] for p in record["prefixes"]}


def _balance(record: Record) -> tuple[float, float]:
    """Weights of a finished right and a finished wrong answer: both sides count alike within a problem."""
    texts = {sample["text"]: sample["correct"] for sample in record["samples"]}
    right = sum(texts.values())
    wrong = len(texts) - right
    if not right or not wrong:
        return 0.5, 0.5
    half = (right + wrong) / 2
    return min(3.0, half / right), min(3.0, half / wrong)


def _agreement(steps: Sequence[list[int]], problem: Problem) -> int:
    """How many leading tokens the steps share with the written-out solution."""
    right = itertools.chain(*text.marked(problem.steps))
    pairs = zip(itertools.chain(*steps), right, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def branch(steps: Sequence[str], rates: Rates, weight: float, problem: Problem) -> Branch:
    """One answer: at the markers its measured success rate, at every other token whether all is right so far."""
    tokens: list[int] = []
    targets: list[float] = []
    weights: list[float] = []
    marked = text.marked(steps)
    same = _agreement(marked, problem)
    for count, step in enumerate(marked, start=1):
        rate, start = rates.get(tuple(steps[:count])), len(tokens)
        tokens += step
        targets += [float(start + offset < same) for offset in range(len(step) - 1)] + [rate or 0.0]
        at_marker = 0.0 if rate is None else FINISHED * weight if count == len(steps) else UNFINISHED
        weights += [ELSEWHERE] * (len(step) - 1) + [at_marker]
    return Branch(0, tokens, targets, weights)


def row(record: Record, problem: Problem, rng: random.Random) -> Row:
    """Some answers of a problem, and the bare question as an empty step."""
    rates, sides = _rates(record), _balance(record)
    bare = Branch(0, [text.marker_id()], [rates[()]], [UNFINISHED])
    answers = [
        branch(one.splitlines(), rates, sides[0] if good else sides[1], problem)
        for one, good in _picked(record, rng)
    ]
    return Row(text.prompt(record["question"]), [bare, *answers])


def _picked(record: Record, rng: random.Random) -> list[tuple[str, bool]]:
    """A few different answers, of both sides where there are both."""
    texts = list({sample["text"]: sample["correct"] for sample in record["samples"]}.items())
    rng.shuffle(texts)
    right, wrong = ([pair for pair in texts if pair[1] is side] for side in (True, False))
    kept = right[:2]
    return [*kept, *wrong[: ANSWERS - len(kept)]]


def _reminder(row: Row) -> Row:
    """A synthetic row without the targets that success rates contradict: the markers of unfinished right prefixes."""
    marker = text.marker_id()
    for number, one in enumerate(row.branches):
        for index, token in enumerate(one.tokens):
            finished = number == 0 and index == len(one.tokens) - 1
            if token == marker and one.targets[index] > 0.5 and not finished:
                one.weights[index] = 0.0
    return row


def batches(
    records: Sequence[Record], seed: int, measured: int, reminders: int
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Endless pairs of measured rows and synthetic rows; the records are shuffled anew each time round."""
    rng, feed = random.Random(seed), synthetic.batches(seed + 500, reminders, wrong=2)
    known = {problem.id: problem for problem in stories("prm")}
    while True:
        rows = (row(record, known[record["id"]], rng) for record in records)
        pool = sorted(rows, key=lambda one: len(one) + rng.random() * 60)
        groups = [pool[start : start + measured] for start in range(0, len(pool), measured)]
        rng.shuffle(groups)
        yield from ((group, list(map(_reminder, next(feed)))) for group in groups)
