"""Write prompts of the lab for `adaptive-middleware calibrate`: id, question, answer and level, one a line.

Run as `python -m bench.lab.prompts OUT.jsonl [--split calibration] [--problems 200]`.
"""

import argparse
import itertools
import json
from pathlib import Path

from adaptive_middleware.lab.problems import HELD_OUT_PER_SPLIT, stories


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=[*HELD_OUT_PER_SPLIT], default="calibration")
    parser.add_argument("--problems", type=int, default=200)
    arguments = parser.parse_args()
    rows = [
        {"id": story.id, "question": story.question, "answer": str(story.answer), "level": story.level}
        for story in itertools.islice(stories(arguments.split), arguments.problems)
    ]
    arguments.out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
