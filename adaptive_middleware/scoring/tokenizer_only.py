"""The tokenizer of a process reward model that runs elsewhere: neither weights nor torch are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.families import Options

_NEEDED = ("tokenizer.json", "tokenizer_config.json", "config.json", "*.jinja", "special_tokens_map.json")


def open_tokenizer(model: str | Path) -> tuple[Any, Options]:
    """The tokenizer in a folder, or of a hub name, and what its config.json sets; raises `CheckpointError`."""
    folder = _folder(model)
    try:
        config = (
            json.loads((folder / "config.json").read_bytes()) if (folder / "config.json").exists() else {}
        )
        described = json.loads((folder / "tokenizer.json").read_bytes())
        if not isinstance(config, dict) or not isinstance(described, dict) or "model" not in described:
            message = "a JSON object of a tokenizer model is needed"
            raise ValueError(message)  # noqa: TRY301 - one message for every way to be unusable
        return _loaded(folder), Options.of(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"the tokenizer in {str(folder)!r} cannot be loaded ({error}): copy tokenizer.json, tokenizer_config.json and config.json of the model there"
        raise CheckpointError(message) from error


def _folder(model: str | Path) -> Path:
    if Path(model).is_dir():
        return Path(model)
    if isinstance(model, Path) or model.count("/") != 1:
        message = (
            f"no folder {str(model)!r}: `tokenizer` must name a folder with tokenizer.json, or a hub name"
        )
        raise CheckpointError(message)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to load
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415 - as above

    try:
        return Path(snapshot_download(model, allow_patterns=list(_NEEDED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        message = f"{model!r} is no folder here, and the hub did not give its tokenizer ({type(error).__name__}): download it first"
        raise CheckpointError(message) from error


def _loaded(folder: Path) -> Any:  # noqa: ANN401 - transformers' tokenizers share no usable type
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - slow to load

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
