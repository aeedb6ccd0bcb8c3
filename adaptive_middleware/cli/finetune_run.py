"""The work of `finetune`: read, train, measure, write; whatever cannot work is refused before the training begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptive_middleware import lab
from adaptive_middleware.calibration.examples import fingerprint
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.figures import Figures, flat
from adaptive_middleware.finetuning.finetune import finetune, measured
from adaptive_middleware.finetuning.labelled import Labelled, read
from adaptive_middleware.finetuning.recipes import recipe
from adaptive_middleware.finetuning.save import check_free, save
from adaptive_middleware.scoring.local import open_model


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options."""

    model: str
    generator: str
    recipe: str
    examples: Path
    questions: tuple[Path, ...]
    out: Path
    held_out: Path | None = None
    family: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    max_length: int = 2048
    batch_tokens: int = 1024
    seed: int = 0


def run(options: Options, note: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Figures]]:
    """What was written, in numbers, and the figures on held-out paths (none where none were given).

    `note` gets a line of progress after each epoch. Raises `AdaptiveError`s; nothing is written then.
    """
    check_free(options.out)
    chosen = recipe(options.recipe)
    labelled, held_out = _data(options)
    model = lab.PRM if options.model == "lab" else options.model
    opened = open_model(model, family=options.family, device=options.device, dtype=options.dtype)
    sizes = {"window": options.max_length, "tokens": options.batch_tokens}
    tuned = finetune(
        opened, labelled, chosen, seed=options.seed, say=lambda epoch: note(str(epoch)), **sizes
    )  # fmt: skip
    found = measured(tuned, held_out, **sizes) if held_out else {}
    data = fingerprint(one.example for one in labelled)
    manifest = save(tuned, options.out, generator=options.generator, data_sha256=data, metrics=flat(found))
    written = {
        "recipe": chosen.name, "prm": manifest.prm, "generator": manifest.generator, "seconds": tuned.seconds,
        "problems": tuned.problems, "folds": chosen.folds,
    }  # fmt: skip
    return written, found


def _data(options: Options) -> tuple[list[Labelled], list[Labelled]]:
    labelled = read(options.examples, options.questions)
    held_out = read(options.held_out, options.questions) if options.held_out else []
    shared = {one.example.group for one in labelled} & {one.example.group for one in held_out}
    if shared:
        message = f"{len(shared)} problems are both trained on and held out, {min(shared)!r} for one: split by problem"
        raise CalibrationError(message)
    return labelled, held_out
