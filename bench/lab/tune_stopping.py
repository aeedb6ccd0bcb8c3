"""What sharpness and price do to accuracy and tokens, on problems that the held-out figures never see.

Run as `python -m bench.lab.tune_stopping`: replays optimal stopping over a grid on `tuning.jsonl.gz` (16 fresh answers
to the calibration problems) and prints, cheapest first, the rules that keep the accuracy of fixed N = 16.

The published rule is not the cheapest one of this table: with 304 problems a difference of a point is noise, and the
rule at half the tokens that loses .4 points here loses 2.4 on the held-out problems.
"""

from __future__ import annotations

import argparse
import itertools
import sys

from bench.lab_figures import rows

SHARPNESS = (1.6, 1.9, 2.2)
PRICES = (0.015, 0.02, 0.025, 0.03, 0.04, 0.046)
TARGETS = (0.9,)
PER_TOKENS = 40
BASELINE = "fixed:n=16,select=argmax"


def rule(target: float, sharpness: float, price: float) -> str:
    """One candidate rule, as `bench replay` reads it."""
    return (
        f"optimal-stopping:target={target},give_up={price},sharpness={sharpness},per_tokens={PER_TOKENS},"
        "select=argmax,max=16"
    )


def main() -> None:
    """Replay the grid and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--tolerance", type=float, default=0.005, help="accuracy that may be lost")
    arguments = parser.parse_args()
    grid = [rule(*one) for one in itertools.product(TARGETS, SHARPNESS, PRICES)]
    baseline, *found = rows((BASELINE, *grid), arguments.repeats, "tuning.jsonl.gz")
    sys.stdout.write(
        f"{baseline.policy}: {baseline.accuracy:.4f} at {baseline.generated_tokens:.0f} tokens\n"
    )
    kept = [row for row in found if row.accuracy >= baseline.accuracy - arguments.tolerance]
    for row in sorted(kept, key=lambda row: row.generated_tokens):
        share = row.generated_tokens / baseline.generated_tokens
        sys.stdout.write(f"{row.accuracy:.4f}  {row.samples:5.2f} samples  {share:6.1%}  {row.policy}\n")


if __name__ == "__main__":
    main()
