"""All checks, in the order in which they are read: the machine, then the configuration and what it names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from adaptive_middleware.config import Config
from adaptive_middleware.config.checks import max_samples
from adaptive_middleware.config.prms import TransformersPrm
from adaptive_middleware.config.strategies import Beam, Drawing, Effort, PolicyRule
from adaptive_middleware.doctor import machine
from adaptive_middleware.doctor.extras import extras, model_of
from adaptive_middleware.doctor.finding import Finding, ok
from adaptive_middleware.doctor.parts import keys, parts, read
from adaptive_middleware.doctor.places import sandboxes, store, store_of
from adaptive_middleware.doctor.reach import servers

_SAMPLES = 16


def examine(file: str | None) -> Iterator[Finding]:
    """What every check found, one after the other; without a file only the machine is examined.

    Loads the process reward model and asks every server once. Nothing is generated, and no file is changed.
    """
    config, finding = (None, _NO_FILE) if file is None else read(file)
    yield machine.python()
    yield from extras(config)
    yield machine.accelerator(_device(config))
    yield machine.clock()
    kept = None if config is None else store_of(config)
    yield from machine.disk((*_folders(file, kept), Path(tempfile.gettempdir())))
    yield machine.open_files(_most(config))
    yield from sandboxes(config)
    yield finding
    if config is not None:
        yield from keys(config)
        yield from servers(config)
        yield from parts(config)
    if kept is not None:
        yield store(kept)


_NO_FILE = ok("config", "none given, so only the machine was examined: --config FILE")


def _folders(file: str | None, kept: Path | None) -> Iterator[Path]:
    yield Path.cwd() if file is None else Path(file).resolve().parent
    if kept is not None:
        yield next(parent for parent in kept.parents if parent.exists())


def _device(config: Config | None) -> str | None:
    prm = None if config is None else model_of(config)
    return prm.device if isinstance(prm, TransformersPrm) else None


def _most(config: Config | None) -> int:
    """The most samples that a call of any policy may draw at once."""
    if config is None:
        return _SAMPLES
    return max(map(_samples, config.settings.policies.values()), default=1)


def _samples(policy: PolicyRule) -> int:
    match policy:
        case Drawing():
            return max_samples(policy)
        case Beam():
            return policy.samples
        case Effort():
            return policy.attempts
    return 1
