"""Fine-tune the lab's PRM by each recipe, and compare with the post-hoc bundle on held-out problems.

Run as `python -m bench.lab.finetune [--json]`; it reads the prefixes of `bench/lab/data`, trains on a CPU (minutes), and writes
`bench/lab/finetuned.json`. `--shapes` compares shapes of the head on calibration problems instead, to choose one: the adapter
stays untrained, the held-out problems take no part, and nothing is written.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path as File
from time import monotonic

import torch

from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.finetuning.figures import Figures, figures
from adaptive_middleware.finetuning.finetune import finetune, measured, parts
from adaptive_middleware.finetuning.labelled import Labelled, read
from adaptive_middleware.finetuning.recipes import MONOTONE, PARK_2025, Epoch, Recipe
from adaptive_middleware.scoring.local import open_model
from adaptive_middleware.types import Path, StepScores
from bench.lab import paths, training
from bench.lab.calibrate import disjoint

Found = dict[str, Figures]
Row = tuple[Found, float]
_TOKENS = 1024
_RECIPES = (PARK_2025, MONOTONE)
_SHAPES = {name: replace(MONOTONE, shape=name, epochs=0) for name in ("beta", "increments")}
_HEADINGS = ("paths", "ECE", "Brier", "pinball", "10 % bound covers", "crossing")


def tuned(
    name: str, data: Sequence[Labelled], held_out: Sequence[Labelled], recipe: Recipe, seed: int
) -> Row:
    """Figures on the held-out problems, and the seconds of training and correction."""
    opened = open_model(paths.PRM)
    say = partial(_say, name)
    found = finetune(opened, data, recipe, seed=seed, tokens=_TOKENS, say=say)
    return measured(found, held_out, tokens=_TOKENS), found.seconds


def post_hoc(data: Sequence[Labelled], held_out: Sequence[Labelled], seed: int, *, logprobs: bool) -> Row:
    """Figures of the post-hoc calibration of the same data, with or without the policy's log-probabilities."""
    started = monotonic()
    fitted, measured_on = (
        [one.example if logprobs else replace(one.example, logprobs=None, tokens=None) for one in part]
        for part in (data, held_out)
    )
    calibration = fit(fitted, seed=seed)
    seconds = monotonic() - started
    estimates = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs, e.tokens) for e in measured_on]
    return figures(estimates, [e.quantiles for e in estimates], measured_on), seconds


def raw(held_out: Sequence[Labelled]) -> Row:
    """Figures of the scores taken at their word, all quantiles equal to the score."""
    examples = [one.example for one in held_out]
    estimates = [uncalibrated(Path(), StepScores(e.scores)) for e in examples]
    flat = [replace(e, quantiles=((0.1, e.mean), (0.5, e.mean), (0.9, e.mean))) for e in estimates]
    return figures(flat, [e.quantiles for e in flat], examples), 0.0


def compared(arguments: argparse.Namespace) -> dict[str, Row]:
    """Every way to calibrate, on the held-out problems."""
    data = read(arguments.fit, arguments.questions)
    held_out = read(arguments.held_out, arguments.questions)
    disjoint([one.example for one in data], [one.example for one in held_out])
    seed = arguments.seed
    return {
        "uncalibrated": raw(held_out),
        "post-hoc": post_hoc(data, held_out, seed, logprobs=True),
        "post-hoc, scores only": post_hoc(data, held_out, seed, logprobs=False),
        **{one.name: tuned(one.name, data, held_out, one, seed) for one in _RECIPES},
    }


def shapes(arguments: argparse.Namespace) -> dict[str, Row]:
    """The shapes of our head, fitted on two thirds of the calibration problems (adapter untrained), measured on the rest."""
    data = read(arguments.fit, arguments.questions)
    apart = set(parts(data, 3, arguments.seed + 7)[0])
    seen, kept = ([one for i, one in enumerate(data) if (i in apart) is held] for held in (False, True))
    return {name: tuned(name, seen, kept, one, arguments.seed) for name, one in _SHAPES.items()}


def table(rows: dict[str, Row]) -> str:
    """One line for each way and kind of path."""
    head = f"{'calibration':<22} {'kind':<9}{_HEADINGS[0]:>6}{_HEADINGS[1]:>8}{_HEADINGS[2]:>8}{_HEADINGS[3]:>9}{_HEADINGS[4]:>19}{_HEADINGS[5]:>10}{'seconds':>9}"
    lines = [head]
    for name, (found, seconds) in rows.items():
        for kind, one in found.items():
            covers = f"{one.coverage:.1%} ± {one.coverage_error:.1%}"
            lines.append(
                f"{name if kind == 'all' else '':<22} {kind:<9}{one.paths:>6}{one.ece:>8.4f}{one.brier:>8.4f}{one.pinball:>9.4f}"
                f"{covers:>19}{one.crossing:>10.1%}{f'{seconds:.0f}' if kind == 'all' else '':>9}"
            )
    return "\n".join(lines)


def _say(name: str, epoch: Epoch) -> None:
    sys.stderr.write(f"{name}: {epoch}\n")


def numbers(rows: dict[str, Row]) -> list[dict[str, object]]:
    """The same as plain values."""
    return [
        {"calibration": name, "kind": kind, "seconds": round(seconds, 1)}
        | {key: round(value, 6) for key, value in asdict(one).items()}
        for name, (found, seconds) in rows.items()
        for kind, one in found.items()
    ]


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    questions = [paths.DATA / f"{name}.jsonl.gz" for name in ("calibration", "heldout")]
    parser.add_argument("--fit", type=File, default=paths.DATA / "calibration_prefixes.jsonl.gz")
    parser.add_argument("--held-out", type=File, default=paths.DATA / "heldout_prefixes.jsonl.gz")
    parser.add_argument("--questions", type=File, nargs="+", default=questions)
    parser.add_argument("--out", type=File, default=File(__file__).parent / "finetuned.json")
    parser.add_argument("--shapes", action="store_true", help="compare shapes of the head instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; 0 when all was measured."""
    arguments = _options().parse_args(argv)
    torch.set_num_threads(training.default_threads())
    try:
        rows = (shapes if arguments.shapes else compared)(arguments)
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    text = json.dumps(numbers(rows), indent=1)
    if not arguments.shapes:
        arguments.out.write_text(text + "\n", "utf-8")
    sys.stdout.write((text if arguments.json else table(rows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
