"""Fit the lab's calibration bundle on scored prefixes, and measure it on held-out problems.

Run as `python -m bench.lab.calibrate [--json]`; it reads `calibration_prefixes.jsonl.gz` and
`heldout_prefixes.jsonl.gz` of `bench/lab/data` and writes `adaptive_middleware/lab/calibration.json`.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from adaptive_middleware.calibration.bundle import Bundle, save
from adaptive_middleware.calibration.evaluate import Evaluation, evaluate, figures
from adaptive_middleware.calibration.examples import Example, fingerprint, read
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.errors import AdaptiveError, CalibrationError
from bench.lab import paths


def model_id(folder: Path) -> str:
    """Name and weights of a lab model: `lab/prm@0123456789ab`, so that other weights are another model."""
    weights = folder / "model.safetensors"
    if not weights.exists():
        message = (
            f"{weights}: no such file; train or restore the lab's models first, or give the id as an option"
        )
        raise CalibrationError(message)
    return f"lab/{folder.name}@{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"


def disjoint(fitted: list[Example], held_out: list[Example]) -> None:
    """Refuse data that would flatter: problems that are in both files."""
    shared = {e.group for e in fitted} & {e.group for e in held_out}
    if shared:
        message = (
            f"{len(shared)} problems are both fitted and held out, {min(shared)!r} for one: split by problem"
        )
        raise CalibrationError(message)


def run(arguments: argparse.Namespace) -> dict[str, Evaluation]:
    """Fit, evaluate on the held-out problems, and write the bundle."""
    fitted, held_out = read(arguments.fit), read(arguments.held_out)
    disjoint(fitted, held_out)
    calibration = fit(fitted, seed=arguments.seed)
    evaluations = evaluate(calibration, held_out)
    sizes = {"fit.problems": float(len({e.group for e in fitted})), "fit.paths": float(len(fitted))}
    bundle = Bundle(
        arguments.prm or model_id(paths.PRM),
        arguments.generator or model_id(paths.POLICY),
        fingerprint(fitted),
        calibration,
        sizes | figures(evaluations),
    )
    save(bundle, arguments.out)
    return evaluations


def table(evaluations: dict[str, Evaluation]) -> str:
    """The main figures of each kind of path, one line each."""
    lines = [
        f"{'held-out paths':<16}{'problems':>9}{'paths':>7}{'ECE raw':>9}{'calibr.':>9}{'Brier':>8}{'10 % bound covers':>20}"
    ]
    for kind, found in evaluations.items():
        covers = f"{found.coverage.share:.1%} ± {found.coverage.error:.1%}"
        lines.append(
            f"{kind:<16}{found.problems:>9}{found.paths:>7}{found.ece_raw:>9.3f}{found.ece_calibrated:>9.3f}"
            f"{found.brier_calibrated:>8.3f}{covers:>20}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; 0 when the bundle was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", type=Path, default=paths.DATA / "calibration_prefixes.jsonl.gz")
    parser.add_argument("--held-out", type=Path, default=paths.DATA / "heldout_prefixes.jsonl.gz")
    parser.add_argument("--out", type=Path, default=paths.SHIPPED / "calibration.json")
    parser.add_argument(
        "--prm", help="id of the process reward model (default: name and hash of the shipped weights)"
    )
    parser.add_argument(
        "--generator", help="id of the policy (default: name and hash of the shipped weights)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args(argv)
    try:
        evaluations = run(arguments)
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    numbers = {kind: asdict(found) for kind, found in evaluations.items()}
    sys.stdout.write((json.dumps(numbers, indent=1) if arguments.json else table(evaluations)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
