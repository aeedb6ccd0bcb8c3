"""The lab's headline figures, from the shipped held-out recording; nothing is sampled anew.

Run as `python -m bench.lab_figures`; `make bench` writes the same numbers to `bench/results.json`.
"""

from __future__ import annotations

import json
import sys

from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.evaluate import evaluate as evaluate_calibration
from adaptive_middleware.calibration.examples import read
from adaptive_middleware.cli.policy_spec import parse
from adaptive_middleware.cli.replay_rows import Bench, Ordering, Row, orders, reel
from adaptive_middleware.recording import read_recording
from adaptive_middleware.replay import tape
from bench.lab import paths, record
from bench.lab.evaluate import evaluate as evaluate_models

ADAPTIVE = "optimal-stopping:target=0.9,give_up=0.02,sharpness=1.9,per_tokens=40,select=argmax,max=16"
HALF = "optimal-stopping:target=0.9,give_up=0.046,sharpness=1.9,per_tokens=40,select=argmax,max=16"
SHARP = "optimal-stopping:target=0.9,give_up=0.02,sharpness=99,per_tokens=40,select=argmax,max=16"
PRUNED = (
    "optimal-stopping:target=0.97,give_up=0.07,sharpness=1.6,per_tokens=40,impatience=2,select=argmax,max=32"
)
ORACLE = "optimal-stopping:target=0.9,give_up=0.0001,select=verified,max=16"
POLICIES = (
    "fixed:n=1,select=argmax",
    "fixed:n=4,select=argmax",
    "fixed:n=8,select=argmax",
    "fixed:n=16,select=argmax",
    "fixed:n=16,select=majority",
    "agreement:confidence=0.95,select=majority,max=16",
    "instance-adaptive:confidence=0.99,cap=16,select=argmax,max=16",
    SHARP,
    ADAPTIVE,
    HALF,
    PRUNED,
    ORACLE,
)
REPEATS = 40


def rows(
    policies: tuple[str, ...] = POLICIES, repeats: int = REPEATS, recording: str = "heldout.jsonl.gz"
) -> list[Row]:
    """Every policy on the same shuffled orders of the same recorded samples, with the shipped calibration."""
    problems = read_recording(paths.DATA / recording)
    calibrate = bundle.load(paths.SHIPPED / "calibration.json").calibration
    ordering = Ordering(shuffled=True, by_seed=False, repeats=repeats, seed=0, depth=32)
    reels = [
        reel(tape(problem), orders(problem, ordering), calibrate, verified=False) for problem in problems
    ]
    bench = Bench(reels, "argmax", 16)
    return [bench.evaluate(parse(policy)) for policy in policies]


def lab() -> dict[str, object]:
    """The documented `lab` entry of `bench/results.json`, with the replayed rows beside it."""
    found = {row.policy: row for row in rows()}
    fixed, adaptive = found["fixed:n=16,select=argmax"], found[ADAPTIVE]
    models = evaluate_models(record.read(paths.DATA / "heldout.jsonl.gz"), "test")
    calibration = bundle.load(paths.SHIPPED / "calibration.json").calibration
    kinds = evaluate_calibration(calibration, read(paths.DATA / "heldout_prefixes.jsonl.gz"))
    everything = kinds["all"]
    numbers = {
        "accuracy_fixed16": fixed.accuracy,
        "accuracy_adaptive": adaptive.accuracy,
        "token_share": adaptive.generated_tokens / fixed.generated_tokens,
        "prm_auroc": models["auroc"]["overall"],
        "prm_auroc_within": models["auroc"]["within"],
        "pass1": models["pass1"],
        "pass16": models["pass16"],
        "prm_best16": models["prm_best16"],
        "ece_raw": everything.ece_raw,
        "ece_calibrated": everything.ece_calibrated,
        "coverage_lower10": everything.coverage.share,
        "prm_gap_closed": models["gap_closed"],
        "first_wrong_step_located": models["first_wrong_step_located"],
    }
    rounded = {name: round(value, 4) for name, value in numbers.items()}
    return {"lab": rounded, "lab_rows": [_shown(row) for row in found.values()]}


def _shown(row: Row) -> dict[str, object]:
    return {
        "policy": row.policy,
        "accuracy": round(row.accuracy, 4),
        "accuracy_ci95": [round(end, 4) for end in row.accuracy_ci95],
        "samples": round(row.samples, 2),
        "generated_tokens": round(row.generated_tokens, 1),
        "prm_tokens": round(row.prm_tokens, 1),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(lab(), indent=2) + "\n")
