"""`make bench`: overhead and lab figures, written to `bench/results.json` and printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.lab_figures import lab
from bench.overhead import overhead

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Measure, write, print."""
    text = json.dumps({**overhead(), **lab()}, indent=2)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
