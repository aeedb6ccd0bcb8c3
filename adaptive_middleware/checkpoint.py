"""A folder of model weights: found, and checked before anything in it is used.

Only safetensors are accepted: a pickle can run code when it is opened. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptive_middleware.errors import CheckpointError

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_LARGEST_HEADER = 100_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked folder: its `config.json`, and which file of it holds which tensor."""

    folder: Path
    config: Mapping[str, object]
    files: Mapping[str, str]

    @property
    def model_type(self) -> str:
        """The architecture family as transformers names it."""
        return str(self.config["model_type"])


def open_checkpoint(folder: Path, sha256: str | Mapping[str, str] | None = None) -> Checkpoint:
    """Check `folder` and read its configuration and the names of its tensors; no weights are read.

    `sha256` is the hex digest of the only weights file, or maps file names to digests and then has to name
    every weights file. A flipped bit loads silently, so set it where the weights matter. Raises `CheckpointError`.
    """
    if not folder.is_dir():
        message = f"no model folder {str(folder)!r}: `model` must name a folder with {CONFIG} and {WEIGHTS}"
        raise CheckpointError(message)
    config = _json(folder / CONFIG)
    if not isinstance(config.get("model_type"), str):
        message = f"{folder / CONFIG} has no `model_type`: is this the folder of a transformers model?"
        raise CheckpointError(message)
    names = _weight_files(folder)
    _check_digests(folder, names, sha256)
    files = {tensor: name for name in names for tensor in _tensors(folder / name)}
    return Checkpoint(folder, config, files)


def _weight_files(folder: Path) -> tuple[str, ...]:
    if (folder / WEIGHTS).exists():
        return (WEIGHTS,)
    if not (folder / INDEX).exists():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
        message = f"no {WEIGHTS} (or {INDEX}) in {str(folder)!r}"
        if pickles:
            message += (
                f"; {pickles[0]} is a pickle, which could run code: convert the model to safetensors first"
            )
        raise CheckpointError(message)
    index = _json(folder / INDEX).get("weight_map")
    if not isinstance(index, dict) or not index:
        message = f"{folder / INDEX} has no `weight_map`: download the index again"
        raise CheckpointError(message)
    names = tuple(sorted({str(name) for name in index.values()}))
    for name in names:
        if Path(name).name != name or Path(name).suffix != ".safetensors":
            message = f"{folder / INDEX} names {name!r}: only .safetensors files beside the index are read"
            raise CheckpointError(message)
    return names


def _json(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        message = f"no {path.name} in {str(path.parent)!r}: copy the whole model folder"
        raise CheckpointError(message) from error
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as JSON ({error}): copy or download the file again"
        raise CheckpointError(message) from error
    if not isinstance(value, dict):
        message = f"{path} holds a {type(value).__name__}, not an object: copy or download the file again"
        raise CheckpointError(message)
    return value


def _tensors(path: Path) -> list[str]:
    """Names in a safetensors file, after its header was held against the file's size."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LARGEST_HEADER)))
            names = [name for name in header if name != "__metadata__"]
            expected = 8 + length + max((int(header[name]["data_offsets"][1]) for name in names), default=0)
    except FileNotFoundError as error:
        message = f"{path} is missing: the index names it; copy or download the file"
        raise CheckpointError(message) from error
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        message = f"{path} is not a safetensors file or is damaged: copy or download it again"
        raise CheckpointError(message) from error
    if path.stat().st_size != expected:
        message = f"{path} has {path.stat().st_size} bytes instead of {expected}: copy or download it again"
        raise CheckpointError(message)
    return names


def _check_digests(folder: Path, names: tuple[str, ...], sha256: str | Mapping[str, str] | None) -> None:
    if sha256 is None:
        return
    expected = {names[0]: sha256} if isinstance(sha256, str) else dict(sha256)
    if uncovered := sorted(set(names) - set(expected)):
        message = f"`sha256` gives no digest for {uncovered[0]!r} in {str(folder)!r}: map each file name to its digest"
        raise CheckpointError(message)
    for name, wanted in expected.items():
        found = file_digest(folder / name)
        if found != wanted.lower():
            message = f"{folder / name} has sha256 {found}, but {wanted} was configured: these are other or damaged weights"
            raise CheckpointError(message)


def file_digest(path: Path) -> str:
    """The file's sha256 in hex."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        message = f"{path} cannot be read ({error}): copy or download it again"
        raise CheckpointError(message) from error
    return digest.hexdigest()
