"""Stage-2 data of the PRM: measured success rates of the policy's own prefixes, and stage-1 rows that keep it sharp."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.lab import synthetic, text
from bench.lab.trees import Branch, Row

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _rates(record: Record) -> dict[tuple[str, ...], float]:
    return {tuple(p["steps"]): p["success"] / p["rollouts"] for p in record["prefixes"]}


def _balance(record: Record) -> tuple[float, float]:
    """Weights of a finished right and a finished wrong answer: both sides count alike within a problem."""
    right = sum(sample["correct"] for sample in record["samples"])
    wrong = len(record["samples"]) - right
    if not right or not wrong:
        return 0.5, 0.5
    half = (right + wrong) / 2
    return min(3.0, half / right), min(3.0, half / wrong)


def branch(steps: Sequence[str], rates: dict[tuple[str, ...], float], weight: float) -> Branch:
    """One answer; trained on at the markers whose success rate was measured."""
    tokens: list[int] = []
    targets: list[float] = []
    weights: list[float] = []
    for count, step in enumerate(text.marked(steps), start=1):
        rate = rates.get(tuple(steps[:count]))
        tokens += step
        targets += [0.0] * (len(step) - 1) + [0.0 if rate is None else rate]
        weights += [0.0] * (len(step) - 1) + [0.0 if rate is None else weight if count == len(steps) else 1.0]
    return Branch(0, tokens, targets, weights)


def row(record: Record) -> Row:
    """All answers of a problem, and the bare question as an empty step."""
    rates, sides = _rates(record), _balance(record)
    bare = Branch(0, [text.marker_id()], [rates[()]], [1.0])
    answers = [
        branch(sample["text"].splitlines(), rates, sides[0] if sample["correct"] else sides[1])
        for sample in record["samples"]
    ]
    return Row(text.prompt(record["question"]), [bare, *answers])


def _reminder(row: Row) -> Row:
    """A synthetic row without the targets that success rates contradict: the markers of unfinished right prefixes."""
    marker = text.marker_id()
    for number, one in enumerate(row.branches):
        for index, token in enumerate(one.tokens):
            finished = number == 0 and index == len(one.tokens) - 1
            if token == marker and one.targets[index] > 0.5 and not finished:
                one.weights[index] = 0.0
    return row


def batches(records: Sequence[Record], seed: int, measured: int, reminders: int) -> Iterator[list[Row]]:
    """Endless mixed batches; the records are shuffled anew each time round."""
    rng, feed = random.Random(seed), synthetic.rows(seed + 500, wrong=3)
    while True:
        pool = sorted(map(row, records), key=lambda one: len(one) + rng.random() * 60)
        groups = [pool[start : start + measured] for start in range(0, len(pool), measured)]
        rng.shuffle(groups)
        for group in groups:
            yield [*group, *map(_reminder, itertools.islice(feed, reminders))]
