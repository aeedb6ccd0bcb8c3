"""Write a fine-tuned calibration: a folder that is there as a whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path as File

import torch
from safetensors.torch import save_file

from adaptive_middleware.checkpoint import file_digest
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.finetune import FineTuned
from adaptive_middleware.scoring import quantiles_heads as heads
from adaptive_middleware.scoring.quantiles_folder import ADAPTER, HEAD, MANIFEST, Manifest, text_of


def save(
    tuned: FineTuned, folder: File, *, generator: str, data_sha256: str, metrics: Mapping[str, float]
) -> Manifest:
    """Write `folder`, which must not exist, and return its manifest.

    `generator` is the id of the model whose answers were learned from, `data_sha256` the fingerprint of the data. Raises
    `CalibrationError` for a folder that exists, one that cannot be made, and numbers that are not finite; nothing is
    left behind then.
    """
    check_free(folder)
    network = tuned.student.network
    try:
        made = File(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        message = f"{folder} cannot be made ({error}): give a folder in one that exists and can be written to"
        raise CalibrationError(message) from error
    try:
        save_file(_detached(heads.low_rank(network)), made / ADAPTER)
        save_file(_detached(heads.output_layer(network)), made / HEAD)
        files = {name: file_digest(made / name) for name in (ADAPTER, HEAD)}
        manifest = Manifest(
            tuned.opened.name, generator, data_sha256, tuned.opened.kind, tuned.student.adapter, tuned.reading,
            asdict(tuned.student.recipe), metrics, files,
        )  # fmt: skip
        (made / MANIFEST).write_text(text_of(manifest), "utf-8")
        for path in (*made.iterdir(), made):
            path.chmod(0o755 if path.is_dir() else 0o644)
        made.rename(folder)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(made)
        raise
    return manifest


def check_free(folder: File) -> None:
    """Raise `CalibrationError` when there is something at `folder` already."""
    if folder.exists():
        message = f"{folder} exists already: give another folder, or remove this one first"
        raise CalibrationError(message)


def _detached(parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: found.detach().cpu().contiguous() for name, found in parameters.items()}
