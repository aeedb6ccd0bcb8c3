"""`python -m bench.allocation [RECORDING..]`: every rule on every recording, written to LEADERBOARD.md and leaderboard.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path as File

from adaptive_middleware.errors import AdaptiveError
from bench.allocation.recordings import ROOT, given, standard
from bench.allocation.run import board, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write, and say where; 1 when a recording that was named cannot be used."""
    options = _parser().parse_args(arguments)
    named = options.recordings
    sources = given(named) if named else standard()
    try:
        parts = board(sources, options.seed, options.workers, optional=not named, orders=options.orders)
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for file in write(parts, options.out, options.seed, named):
        sys.stderr.write(f"written: {file}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.allocation", description=__doc__)
    add = parser.add_argument
    add("recordings", nargs="*", help="files in the format of docs/recordings.md (default: the standard set)")
    add("--out", type=File, default=ROOT / "bench", help="folder for both files (default: bench)")
    add("--seed", type=int, default=0, help="of orders, folds and resamples (default: 0)")
    add(
        "--orders",
        type=int,
        default=0,
        help="replays per problem (default: 12 to 100, fewer for many problems)",
    )
    add("--workers", type=int, default=2, help="processes; the results do not depend on it (default: 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
