"""`python -m bench.partial`: tokens saved by prune and beam on the lab, as a table, as JSON, or as RESULTS.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.partial.run import Size, rows
from bench.partial.table import Row, as_json, at_equal_tokens, lines

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Partial answers on the lab

The 208 held-out problems of the lab, true success known. Command: `python -m bench.partial --write`

Rules without "beam" replay the recording (4 shuffled orders a problem, as on the leaderboard); their settings are chosen on other
problems than they are judged on (10 folds): the cheapest that keeps the accuracy of fixed 16 within half a point. Beams are drawn live
with the embedded policy, one run a problem, nothing chosen. In brackets: 95 % intervals by problem.

- *PRM tokens*: every prefix once, as the engine computes them; *rescoring*: every row from scratch.
- *PRM share of FLOPs*: scoring over scoring and generating, 2 operations a parameter and token plus attention, from the shapes of
  the two models; *same-size PRM*: the same with a judge as large as the generator.
- *PRM share of time*: processor time of scoring over drawing and scoring in the live runs, all problems in one batch.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print, or write."""
    parser = argparse.ArgumentParser(prog="python -m bench.partial", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write", action="store_true", help="replace bench/partial/RESULTS.md")
    parser.add_argument("--problems", type=int, help="only the first ones")
    options = parser.parse_args(arguments)
    found = rows(Size(problems=options.problems), lambda what: sys.stderr.write(f"{what}\n"))
    page = "\n".join([HEAD, *lines(found), "", *equal(found)]) + "\n"
    if options.write:
        RESULTS.write_text(page, encoding="utf-8")
    sys.stdout.write(
        json.dumps({"rows": [as_json(one) for one in found]}, indent=2) + "\n" if options.json else page
    )


def equal(found: Sequence[Row]) -> list[str]:
    """The adaptive beams beside the fixed ones at the same number of generated tokens."""
    fixed = [one for one in found if one.policy.startswith("beam fixed")]
    others = [one for one in found if one.policy.startswith("beam") and one not in fixed]
    table = ["| beam | generated tokens | accuracy | fixed beam at as many tokens |", "|---|---|---|---|"]
    return table + [
        f"| {one.policy} | {one.generated:.0f} | {one.accuracy.value:.1%} | {at_equal_tokens(one.generated, fixed):.1%} |"
        for one in others
    ]


if __name__ == "__main__":
    main()
