"""Models and tokenizers from a checked folder, by transformers, without remote code, pickles or noise."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    StrictDataclassError,
)
from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast
from transformers.utils import logging

from adaptive_middleware.checkpoint import Checkpoint, open_checkpoint
from adaptive_middleware.errors import CheckpointError, ConfigError

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_LAYER = re.compile(r"(layers|h)\.\d+\.(?!.*inv_freq$)")
_NEEDED = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_LOADING = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, StrictDataclassError)


def find(model: str | Path, sha256: str | Mapping[str, str] | None = None) -> Checkpoint:
    """The checked checkpoint of a local folder, or of a hub name such as `Qwen/Qwen2.5-Math-PRM-7B`.

    A hub name is taken from the local cache or downloaded: safetensors, configuration and tokenizer only.
    """
    if Path(model).exists() or str(model).count("/") != 1 or isinstance(model, Path):
        return open_checkpoint(Path(model), sha256)
    try:
        folder = snapshot_download(str(model), allow_patterns=list(_NEEDED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        message = f"{model!r} is no folder here, and the hub did not give it ({type(error).__name__}): download it first"
        raise CheckpointError(message) from error
    return open_checkpoint(Path(folder), sha256)


def name_of(model: str | Path, checkpoint: Checkpoint) -> str:
    """What reports and bundles call a model: its hub name, or the folder's own."""
    return checkpoint.folder.resolve().name if Path(model).exists() else str(model)


def device_and_dtype(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The named device and number format; raises `ConfigError` for an unknown or absent one."""
    if dtype not in DTYPES:
        message = f"dtype {dtype!r} is unknown: choose one of {', '.join(DTYPES)}"
        raise ConfigError(message)
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        message = (
            f"device {device!r} cannot be used here ({error}): set `device: cpu` or install a torch for it"
        )
        raise ConfigError(message) from error
    return place, DTYPES[dtype]


def load_tokenizer(checkpoint: Checkpoint) -> Any:  # noqa: ANN401 - transformers' tokenizers share no usable type
    """The folder's tokenizer, exactly as its tokenizer.json describes it where there is one.

    The auto class would put the architecture's pre-tokenizer in place of the file's own: garbage for some.
    """
    config = load_config(checkpoint)
    path = checkpoint.folder / "tokenizer.json"
    if not any((checkpoint.folder / name).exists() for name in _VOCABULARIES):
        message = f"no tokenizer in {str(checkpoint.folder)!r} ({', '.join(_VOCABULARIES)}): copy the whole model folder"
        raise CheckpointError(message)
    try:
        with _quiet():
            if not path.exists():
                return AutoTokenizer.from_pretrained(
                    checkpoint.folder, config=config, trust_remote_code=False, local_files_only=True
                )
            if "model" not in json.loads(path.read_bytes()):
                message = f"{path.name} describes no tokenizer model"
                raise ValueError(message)
            return PreTrainedTokenizerFast.from_pretrained(checkpoint.folder, local_files_only=True)
    except _LOADING as error:
        message = (
            f"the tokenizer in {str(checkpoint.folder)!r} cannot be loaded ({error}): copy its files again"
        )
        raise CheckpointError(message) from error


def load_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The architecture's configuration, by transformers' own classes only."""
    if checkpoint.model_type not in CONFIG_MAPPING:
        message = f"{checkpoint.folder} is of the architecture {checkpoint.model_type!r}, which transformers does not know"
        raise CheckpointError(message)
    values = {key: value for key, value in checkpoint.config.items() if key not in ("model_type", "auto_map")}
    try:
        return AutoConfig.for_model(checkpoint.model_type, **values)
    except _LOADING as error:
        message = (
            f"{checkpoint.folder / 'config.json'} is not a {checkpoint.model_type} configuration ({error})"
        )
        raise CheckpointError(message) from error


def load_model(kind: Any, checkpoint: Checkpoint, place: torch.device, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The model of the auto class `kind`, in evaluation mode; every weight must come from the checkpoint."""
    config = load_config(checkpoint)
    try:
        with _quiet():
            model, info = kind.from_pretrained(
                checkpoint.folder, config=config, dtype=dtype, use_safetensors=True,
                trust_remote_code=False, local_files_only=True, output_loading_info=True,
            )  # fmt: skip
    except _LOADING as error:
        message = f"the weights in {str(checkpoint.folder)!r} do not fit their config.json ({error}): copy both again"
        raise CheckpointError(message) from error
    _check_complete(checkpoint, info)
    return model.to(place).eval()


def _check_complete(checkpoint: Checkpoint, info: Mapping[str, Collection[object]]) -> None:
    """Every weight came from the checkpoint, and every layer of the checkpoint was used."""
    remedy = "the weights belong to another config.json, copy both again"
    if missing := sorted(map(str, info["missing_keys"])):
        message = f"{checkpoint.folder} lacks the tensor {missing[0]!r} and {len(missing) - 1} more: {remedy}"
        raise CheckpointError(message)
    unused = sorted(name for name in map(str, info["unexpected_keys"]) if _LAYER.search(name))
    if unused:
        message = f"{checkpoint.folder} has the tensor {unused[0]!r}, which its config.json has no place for: {remedy}"
        raise CheckpointError(message)


def window_of(model: Any) -> int | None:  # noqa: ANN401
    """The most tokens that a model's positions reach, where its configuration says so."""
    longest = getattr(model.config, "max_position_embeddings", None)
    return longest if isinstance(longest, int) else None


def load_tensor(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    """One tensor, in float32."""
    if name not in checkpoint.files:
        message = f"{checkpoint.folder} lacks the tensor {name!r}: it is of another family, set `family`"
        raise CheckpointError(message)
    try:
        with safe_open(checkpoint.folder / checkpoint.files[name], framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(name)
            return tensor.float()
    except (OSError, SafetensorError) as error:
        message = (
            f"{checkpoint.folder / checkpoint.files[name]} is damaged ({error}): copy or download it again"
        )
        raise CheckpointError(message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
