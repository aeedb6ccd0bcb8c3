"""`python -m bench.code --cheats | --hostile | --runs OUT.. [--json]`: does the verifier hold, does its sandbox, what is saved."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.verify.judge import Judge
from adaptive_middleware.verify.sandbox.choose import TIERS, probe, sandbox
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox
from adaptive_middleware.verify.sandbox.monty import monty
from adaptive_middleware.verify.sandbox.warm import warm
from bench.code.cheats import false_passes, true_passes
from bench.code.contained import rows
from bench.code.runs import told
from bench.code.speed import cold, per_second, ready
from bench.code.tasks import Task, tasks


def cheats(tier: str, first: int) -> dict[str, object]:
    """Solutions and cheats on the tasks, and times; `first` tasks only, where that is not 0."""
    asked, made = tasks()[: first or None], sandbox(tier)
    with warm(made, Limits()) as waiting:
        judge = Judge(waiting)
        failed, passed = true_passes(judge, asked), false_passes(judge, asked)
        judge.close()
    for one in failed:
        sys.stderr.write(f"{one}\n")
    milliseconds = {"cold": cold(made, asked), "warm": ready(made, asked), "monty": fast(asked)}
    return {
        "tasks": len(asked), "tier": made.name, "true_pass": len(asked) - len(failed), "false_pass": passed,
        "median_ms": milliseconds, "per_second": per_second(made, asked),
    }  # fmt: skip


def fast(asked: Sequence[Task]) -> float | None:
    """Median milliseconds to a verdict with Monty before the best other sandbox; None where it is not installed."""
    if find_spec("pydantic_monty") is None:
        return None
    with closing(monty(sandbox())) as made:
        return cold(made, asked)


def hostile(tier: str, only: str) -> list[dict[str, object]]:
    """Every hostile program in every tier that works here, or in one; never without a sandbox: they do what they say."""
    tiers: list[Sandbox] = [
        make() for name, make in TIERS.items() if tier in {"auto", name} and probe(name).works
    ]
    return [asdict(row) for row in rows(tiers, only)]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.code", description=__doc__)
    parser.add_argument("--cheats", action="store_true")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--sandbox", default="auto", metavar="TIER", help="auto: the best, or every one")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="for --cheats: the first N tasks")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="for --hostile: programs with that in their name"
    )
    parser.add_argument(
        "--runs", nargs="+", type=Path, metavar="OUT", help="folders of `solve`: the first drew every sample"
    )
    said = parser.parse_args()
    if sum(map(bool, (said.cheats, said.hostile, said.runs))) != 1:
        parser.error("say one of --cheats, --hostile and --runs")
    try:
        if said.runs:
            sys.stdout.write(told(said.runs, as_json=said.json))
            return 0
        found: object = cheats(said.sandbox, said.first) if said.cheats else hostile(said.sandbox, said.only)
    except (AdaptiveError, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=None if said.json else 2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
