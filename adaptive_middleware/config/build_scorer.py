"""The process reward model of a configuration and its calibration, loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.config.document import KeyPath, dotted
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.given import Given
from adaptive_middleware.config.prms import (
    CodeSignals,
    LabPrm,
    ModelPrm,
    PoolingPrm,
    PythonPrm,
    TransformersPrm,
)
from adaptive_middleware.ports import Calibrator, Scorer
from adaptive_middleware.scoring.code_checked import code_checked
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.scoring.quantiles import quantile_estimate


def scorer_of(config: Given) -> Scorer | None:
    """The process reward model that `prm` names, loaded; None without one."""
    match config.settings.prm:
        case None:
            return None
        case CodeSignals(entry=entry, then=then):
            if then is None:
                return code_signals(entry)
            return code_checked(_model(config, ("prm", "then"), then), entry)
        case prm:
            return _model(config, ("prm",), prm)


def _model(config: Given, path: KeyPath, prm: ModelPrm) -> Scorer:
    match prm:
        case PythonPrm(target=target, args=args):
            scorer: Scorer = made(config.document, path, target, args, "score")
            return scorer
        case LabPrm():
            return _loader(config)(lab.PRM)
        case TransformersPrm():
            return _load_transformers(config, prm)
        case PoolingPrm():
            return _pooling(config, path, prm)


def _load_transformers(config: Given, prm: TransformersPrm) -> Scorer:
    folder = config.resolved(prm.model)
    return _loader(config)(
        folder if folder.exists() else prm.model,
        family=prm.family,
        device=prm.device,
        dtype=prm.dtype,
        max_length=prm.max_length,
        batch_tokens=prm.batch_tokens,
        kv_cache_mib=prm.kv_cache_mib,
        compile=prm.compile,
        batch_invariant=prm.batch_invariant,
        sha256=prm.sha256_files or prm.sha256,
    )


def _pooling(config: Given, path: KeyPath, prm: PoolingPrm) -> Scorer:
    from adaptive_middleware.scoring.pooling_http import pooling_scorer  # noqa: PLC0415 - loads httpx2

    key = "" if prm.key_env is None else os.environ.get(prm.key_env, "").strip()
    if prm.key_env is not None and not key:
        where = dotted((*path, "key_env"))
        message = f"{where} is {prm.key_env!r}, but that environment variable is not set: put the servers' key there"
        raise config.refused((*path, "key_env"), message)
    folder = config.resolved(prm.tokenizer)
    return pooling_scorer(
        prm.urls,
        model=prm.model,
        tokenizer=folder if folder.is_dir() else prm.tokenizer,
        family=prm.family,
        key=key,
        timeout=prm.timeout,
        max_length=prm.max_length,
    )


def _loader(config: Given) -> Callable[..., Scorer]:
    """What loads the process reward model: as it is, or with the fine-tuned calibration on top."""
    from adaptive_middleware.scoring.local import load_scorer  # noqa: PLC0415 - loads torch

    tuned = _fine_tuned(config)
    if tuned is None:
        return load_scorer
    from adaptive_middleware.scoring.quantiles_local import load_quantile_scorer  # noqa: PLC0415 - loads torch

    return partial(load_quantile_scorer, tuned, generator=config.settings.generator)


def _fine_tuned(config: Given) -> FilePath | None:
    """The folder of a fine-tuned calibration, where `calibration` names one."""
    written = config.settings.calibration
    if written is None or written in {"none", "lab"} or not config.resolved(written).is_dir():
        return None
    return config.resolved(written)


def calibrator_of(config: Given, scorer: Scorer | None) -> Calibrator:
    """The calibration that `calibration` names; raw scores at their word without one."""
    written = config.settings.calibration
    if written is None or written == "none":
        return uncalibrated
    if tuned := _fine_tuned(config):
        if not isinstance(config.settings.prm, TransformersPrm | LabPrm):
            message = f"calibration is the folder {str(tuned)!r}, a fine-tuned model: that needs prm.kind transformers or lab; use a bundle"
            raise config.refused(("calibration",), message)
        return quantile_estimate
    path = lab.CALIBRATION if written == "lab" else config.resolved(written)
    return bundle.load(path, prm=scorer_id(config, scorer), generator=config.settings.generator).calibration


def scorer_id(config: Given, scorer: Scorer | None) -> str:
    """What calibration bundles call the process reward model: its `id`, else the factory that made it."""
    prm = config.settings.prm
    prm = prm.then if isinstance(prm, CodeSignals) else prm
    made_by = prm.target if isinstance(prm, PythonPrm) else ""
    return str(getattr(scorer, "id", "") or made_by)
