"""`python -m bench.scoring`: ways to score steps, measured side by side; a table, JSON, or RESULTS.md rewritten."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from adaptive_middleware.errors import AdaptiveError

RESULTS = Path(__file__).parent / "RESULTS.md"
SHAPES = ("tiny", "135m", "1.5b", "7b")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when the device is not there."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("--write keeps full tables: leave out --quick")
    from bench.scoring import page  # noqa: PLC0415 - `--help` needs no torch
    from bench.scoring.machine import open_machine  # noqa: PLC0415
    from bench.scoring.report import as_json  # noqa: PLC0415
    from bench.scoring.run import run  # noqa: PLC0415
    from bench.scoring.shapes import SHAPES as KNOWN  # noqa: PLC0415

    try:
        machine = open_machine(options.device, options.threads)
        report = run(KNOWN[options.shape], machine, quick=options.quick, log=_log)
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    text = page.measured(report)
    if options.write:
        old = options.write.read_text(encoding="utf-8") if options.write.exists() else ""
        new = page.rewritten(old, options.device, options.shape, text)
        options.write.write_text(new, encoding="utf-8")
        _log(f"written: {options.write.name}")
    sys.stdout.write(json.dumps(as_json(report), indent=2) + "\n" if options.json else text)
    return 0


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scoring", description=__doc__)
    add = parser.add_argument
    add("--shape", choices=SHAPES, default="135m", help="of the model (default: 135m)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where it runs (default: cpu)")
    add("--threads", type=int, default=1, help="of torch on the CPU; one is timed by CPU time (default: 1)")
    add("--quick", action="store_true", help="only the standard case and the comparison of scores")
    add("--json", action="store_true", help="print JSON instead of the table")
    add(
        "--write",
        nargs="?",
        type=Path,
        const=RESULTS,
        metavar="FILE",
        help="replace this shape's and device's block in a file (default: bench/scoring/RESULTS.md)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
