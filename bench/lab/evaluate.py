"""How good the lab pair is on its held-out recording.

Run as `python -m bench.lab.evaluate` or, for machines, `... --json`.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from math import comb
from pathlib import Path
from statistics import mean
from typing import Any

from adaptive_middleware.lab.problems import Split, first_wrong_step, stories
from bench.lab import figures, paths, record

Json = dict[str, Any]


def pass_at(right: int, drawn: int, n: int) -> float:
    """Chance that at least one of n of the drawn answers is right.

    >>> pass_at(1, 2, 1)
    0.5
    """
    return 1 - comb(drawn - right, n) / comb(drawn, n)


def best_of(scored: Sequence[tuple[float, bool]], n: int) -> float:
    """Chance that the highest-scored of n of these answers is right, over all choices of n; ties share.

    >>> best_of([(0.9, True), (0.1, False)], 1)
    0.5
    """
    order = sorted(scored)
    total, below = 0.0, 0
    for score in sorted({score for score, _ in order}):
        tied = [good for value, good in order if value == score]
        top_here = (comb(below + len(tied), n) - comb(below, n)) / comb(len(order), n)
        total += top_here * mean(tied)
        below += len(tied)
    return total


def vote(samples: Sequence[Json], n: int, rng: random.Random, *, weighted: bool, repeats: int = 200) -> float:
    """Chance that the answer with the most votes (or the largest sum of PRM scores) of n is right; ties share."""
    won = 0.0
    for _ in range(repeats):
        drawn, votes = rng.sample(list(samples), n), Counter[str]()
        for one in drawn:
            if one["answer"] is not None:
                votes[one["answer"]] += one["prm_score"] if weighted else 1
        top = [answer for answer, count in votes.items() if count == max(votes.values())]
        right = {one["answer"] for one in drawn if one["correct"]}
        won += sum(answer in right for answer in top) / max(1, len(top))
    return won / repeats


def _located(problems: Sequence[Json], split: Split) -> tuple[float, int]:
    known = {p.id: p for p in stories(split)}
    found = []
    for problem in problems:
        for sample in problem["samples"]:
            wrong = first_wrong_step(known[problem["id"]], sample["text"].splitlines())
            if not sample["correct"] and wrong is not None:
                found.append(figures.largest_drop(problem["question_score"], sample["scores"]) == wrong)
    return mean(found), len(found)


def _value(sample: Json, signal: str) -> float:
    return float(sample["prm_score"] if signal == "prm" else sample["logprobs"][signal == "mean"])


def _signal(problems: Sequence[Json], value: str) -> Json:
    groups = [[(_value(sample, value), sample["correct"]) for sample in p["samples"]] for p in problems]
    inside, count = figures.within(groups)
    every = [pair for group in groups for pair in group]
    return {"within": inside, "within_problems": count, "overall": figures.overall(every),
            "best_of_16": mean(best_of(group, 16) for group in groups)}  # fmt: skip


def _levels(problems: Sequence[Json]) -> dict[str, Json]:
    table: dict[str, Json] = {}
    for level in sorted({p["level"] for p in problems}):
        rates = [_rate(p) for p in problems if p["level"] == level]
        tokens = [sample["tokens"] for p in problems if p["level"] == level for sample in p["samples"]]
        some = [pass_at(_right(p), len(p["samples"]), 16) for p in problems if p["level"] == level]
        table[str(level)] = {
            "problems": len(rates),
            "pass1": mean(rates),
            "pass16": mean(some),
            "tokens": mean(tokens),
        }
    return table


def _right(problem: Json) -> int:
    return sum(sample["correct"] for sample in problem["samples"])


def _rate(problem: Json) -> float:
    return _right(problem) / len(problem["samples"])


def evaluate(problems: Sequence[Json], split: Split) -> Json:
    """All figures of one recording (at least 16 answers per problem)."""
    rng, rates = random.Random(5), [_rate(p) for p in problems]
    one, some = mean(rates), mean(pass_at(_right(p), len(p["samples"]), 16) for p in problems)
    votes = [mean(vote(p["samples"], 16, rng, weighted=by) for p in problems) for by in (False, True)]
    prm, (located, wrong) = _signal(problems, "prm"), _located(problems, split)
    bare = [(p["question_score"], s["correct"]) for p in problems for s in p["samples"]]
    return {
        "problems": len(problems), "answers": sum(len(p["samples"]) for p in problems),
        "pass1": one, "pass16": some, "between_10_and_90": mean(0.1 <= rate <= 0.9 for rate in rates),
        "majority16": votes[0], "prm_vote16": votes[1], "prm_best16": prm["best_of_16"], "gap_closed": (prm["best_of_16"] - one) / (some - one),
        "auroc": {"within": prm["within"], "within_problems": prm["within_problems"], "overall": prm["overall"],
                  "question_only": figures.overall(bare)},
        "first_wrong_step_located": located, "wrong_answers": wrong,
        "logprob_min": _signal(problems, "min"), "logprob_mean": _signal(problems, "mean"),
        "levels": _levels(problems),
    }  # fmt: skip


def _flat(value: Json, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        path = f"{name}.{key}" if name else key
        found |= _flat(inner, path) if isinstance(inner, dict) else {path: inner}
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, default=paths.DATA / "heldout.jsonl.gz")
    parser.add_argument("--split", default="test")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = evaluate(record.read(arguments.recording), arguments.split)
    if arguments.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return
    for key, value in _flat(result).items():
        sys.stdout.write(f"{key:32} {value:.4f}\n" if isinstance(value, float) else f"{key:32} {value}\n")


if __name__ == "__main__":
    main()
