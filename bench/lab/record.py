"""Score what `bench.lab.rollouts` measured with the shipped PRM, and write the lab's evaluation files.

Run as `python -m bench.lab.record [SPLIT ..]`; needs `mc_SPLIT.jsonl` in the scratch folder for each of them.
"""

import argparse
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.lab import judge, measured, paths, scoring, text, training

Json = dict[str, Any]
NAMES = {"calibration": "calibration", "test": "heldout", "tuning": "tuning"}


def write(path: Path, lines: Iterable[Json]) -> None:
    """Gzip JSONL; the same content gives the same bytes."""
    body = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(body.encode(), compresslevel=9, mtime=0))
    training.LOG.info("%s: %d bytes", path.name, path.stat().st_size)


def read(path: Path) -> list[Json]:
    """The records of these files."""
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def _scored(model: judge.Judge, record: measured.Record) -> tuple[Json, list[Json]]:
    texts = [sample["text"].splitlines() for sample in record["samples"]]
    cuts = [prefix["steps"] for prefix in record["prefixes"]]
    scores = scoring.score(model, record["question"], [[], *texts, *cuts])
    samples = [
        {**sample, "step_tokens": _step_tokens(sample), "scores": one, "prm_score": one[-1]}
        for sample, one in zip(record["samples"], scores[1 : 1 + len(texts)], strict=True)
    ]
    prefixes = [
        {
            "problem": record["id"],
            "level": record["level"],
            **prefix,
            "tokens": _tokens(prefix),
            "scores": one,
        }
        for prefix, one in zip(record["prefixes"], scores[1 + len(texts) :], strict=True)
    ]
    kept = {key: record[key] for key in ("id", "question", "level")}
    return {**kept, "samples": samples, "question_score": scores[0][0]}, prefixes


def _step_tokens(sample: Json) -> list[int]:
    return text.step_tokens(sample["text"], sample["step_ends"], sample["tokens"])


def _tokens(prefix: Json) -> int | None:
    return text.prefix_tokens(prefix["steps"], prefix["done"])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splits", nargs="*", default=list(NAMES), help="which of calibration, test, tuning")
    parser.add_argument("--prm", type=Path, default=paths.PRM)
    parser.add_argument("--scratch", type=Path, default=paths.SCRATCH)
    parser.add_argument("--out", type=Path, default=paths.DATA)
    arguments = parser.parse_args()
    training.prepare(0, training.default_threads())
    model = judge.load(arguments.prm)
    for split in arguments.splits:
        name = NAMES[split]
        scored = [_scored(model, record) for record in measured.read(arguments.scratch / f"mc_{split}.jsonl")]
        write(arguments.out / f"{name}.jsonl.gz", (record for record, _ in scored))
        if split != "tuning":
            prefixes = (prefix for _, all_of in scored for prefix in all_of)
            write(arguments.out / f"{name}_prefixes.jsonl.gz", prefixes)


if __name__ == "__main__":
    main()
