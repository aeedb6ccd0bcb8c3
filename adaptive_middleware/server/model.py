"""The process reward model that a configuration names, ready to be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptive_middleware import lab, pretrained
from adaptive_middleware.config import Config
from adaptive_middleware.config.prms import LabPrm, TransformersPrm
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.local import open_model
from adaptive_middleware.server.pooling import Served, step_tag


def opened(config: Config) -> tuple[Served, Device]:
    """The model of `prm`, loaded; raises `ConfigError`, and `CheckpointError` for families that pooling cannot serve."""
    prm = config.settings.prm
    match prm:
        case LabPrm():
            prm = TransformersPrm(kind="transformers", model=str(lab.PRM))
        case TransformersPrm():
            pass
        case _:
            kind = "nothing" if prm is None else prm.kind
            message = f"prm is {kind}, but serve-prm loads a model itself: use prm kind transformers or lab"
            raise ConfigError(message, file=config.document.file)
    folder = config.resolved(prm.model)
    return _loaded(folder if folder.exists() else prm.model, prm)


def _loaded(model: str | Path, prm: TransformersPrm) -> tuple[Served, Device]:
    made = open_model(
        model,
        family=prm.family,
        device=prm.device,
        dtype=prm.dtype,
        sha256=prm.sha256_files or prm.sha256,
    )
    tokenizer = pretrained.load_tokenizer(pretrained.find(model))
    served = Served(
        made.name,
        tokenizer,
        min(prm.max_length, made.window),
        _vocabulary(made.network.trunk),
        step_tag(made.kind, tokenizer),
    )
    device = Device(
        made.network,
        kv_bytes=prm.kv_cache_mib << 20,
        pack_tokens=prm.batch_tokens,
        compile=prm.compile,
        batch_invariant=prm.batch_invariant,
    )
    return served, device


def _vocabulary(trunk: Any) -> int:  # noqa: ANN401 - any architecture of transformers
    return int(trunk.get_input_embeddings().weight.shape[0])
