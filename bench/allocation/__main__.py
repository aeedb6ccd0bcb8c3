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
    parser = argparse.ArgumentParser(prog="python -m bench.allocation", description=__doc__)
    parser.add_argument(
        "recordings", nargs="*", help="files in the format of docs/recordings.md (default: the standard set)"
    )
    parser.add_argument(
        "--out", type=File, default=ROOT / "bench", help="folder for both files (default: bench)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of orders, folds and resamples (default: 0)")
    parser.add_argument(
        "--orders",
        type=int,
        default=0,
        help="replays per problem (default: 12 to 100, fewer for many problems)",
    )
    parser.add_argument(
        "--workers", type=int, default=2, help="processes; the results do not depend on it (default: 2)"
    )
    options = parser.parse_args(arguments)
    sources = given(options.recordings) if options.recordings else standard()
    try:
        parts = board(
            sources, options.seed, options.workers, optional=not options.recordings, orders=options.orders
        )
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for file in write(parts, options.out, options.seed, options.recordings):
        sys.stderr.write(f"written: {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
