"""What `adaptive-middleware audit` does between its options and its output: check, read, audit, write the bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from adaptive_middleware import lab
from adaptive_middleware.audit.contest import SELECTIONS, Contender, default, largest
from adaptive_middleware.audit.lines import is_store
from adaptive_middleware.audit.recalibrate import new_bundle, recalibrated, refitted
from adaptive_middleware.audit.recording_audit import Settings, audit_recording
from adaptive_middleware.audit.result import Audit
from adaptive_middleware.audit.store import read_store
from adaptive_middleware.audit.store_audit import audit_store
from adaptive_middleware.audit.traffic import Traffic, read_traffic
from adaptive_middleware.calibration.bundle import Bundle, load, save
from adaptive_middleware.calibration.examples import fingerprint
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.cli.policy_spec import Spec, parse
from adaptive_middleware.errors import CalibrationError, RecordingError
from adaptive_middleware.policy import agreement


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options."""

    source: Path
    calibration: str
    prm: str | None
    generator: str | None
    policy: str | None
    tolerance: float
    repeats: int
    seed: int
    write: Path | None
    force: bool


@dataclass(frozen=True, slots=True)
class Made:
    """The audit; the bundle file it wrote, or why it could not be written although it was asked for."""

    audit: Audit
    fitted_for: str
    written: Path | None = None
    failure: CalibrationError | None = None


def make(asked: Asked, tick: Callable[[str], None]) -> Made:
    """The audit that was asked for; `tick` is called with what is being done.

    Raises `RecordingError`, `CalibrationError` (also for a bundle of other models), or `typer.BadParameter` for an
    option that does not fit the recording.
    """
    spec = None if asked.policy is None else parse(asked.policy)
    stored = is_store(asked.source)
    _check_options(asked, stored)
    bundle = _bundle(asked)
    return _of_store(asked, bundle) if stored else _of_recording(asked, bundle, spec, tick)


def _check_options(asked: Asked, stored: bool) -> None:
    if stored and (asked.write is not None or asked.policy is not None):
        message = (
            f"{asked.source} is a store of calls: it knows only the returned answers, so --write and --policy need a "
            "recording of all samples (docs/audit.md)"
        )
        raise RecordingError(message)
    if asked.calibration == "raw" and (asked.prm, asked.generator, asked.write) != (None, None, None):
        message = "--calibration raw is no bundle: --prm and --generator check one, and --write replaces one"
        raise CalibrationError(message)
    if asked.write is None:
        return
    if not asked.write.parent.is_dir():
        message = f"{asked.write}: there is no folder {str(asked.write.parent)!r}; make it first"
        raise CalibrationError(message)
    if asked.write.is_dir() or (asked.write.exists() and not asked.force):
        message = f"{asked.write} exists already: choose another name, or replace the file with --force"
        raise CalibrationError(message)


def _bundle(asked: Asked) -> Bundle | None:
    if asked.calibration == "raw":
        return None
    file = lab.CALIBRATION if asked.calibration == "lab" else Path(asked.calibration)
    return load(file, prm=asked.prm, generator=asked.generator)


def _of_store(asked: Asked, bundle: Bundle | None) -> Made:
    calibration = None if bundle is None else bundle.calibration
    found = audit_store(read_store(asked.source), calibration, tolerance=asked.tolerance, seed=asked.seed)
    return Made(
        found, "no bundle: probabilities as they were reported" if bundle is None else _fitted_for(bundle)
    )


def _of_recording(
    asked: Asked, bundle: Bundle | None, spec: Spec | None, tick: Callable[[str], None]
) -> Made:
    tick("reading")
    traffic = read_traffic(asked.source)
    used = None if spec is None else _contender(spec, traffic)
    settings = Settings(asked.tolerance, asked.repeats, asked.seed, used)
    calibrate = uncalibrated if bundle is None else bundle.calibration
    found = audit_recording(traffic, calibrate, settings, tick)
    if bundle is not None and fingerprint(traffic.examples) == bundle.data_sha256:
        found = replace(found, notes=(_OWN_DATA, *found.notes))
    if asked.write is None or bundle is None:
        return Made(found, _fitted_for(bundle))
    tick("fitting the new bundle")
    failure = _write(asked.write, found, traffic, bundle, asked.seed)
    return Made(found, _fitted_for(bundle), None if failure else asked.write, failure)


_OWN_DATA = "this bundle was fitted to this very recording: its figures are better than on new traffic"


def _contender(spec: Spec, traffic: Traffic) -> Contender:
    select = spec.select or ("majority" if isinstance(spec.policy, agreement) else "argmax")
    if select not in SELECTIONS:
        message = f"--policy {spec.name!r}: select={select} is not audited; possible: {', '.join(SELECTIONS)}"
        raise typer.BadParameter(message)
    most = largest(traffic.tapes)
    wanted = spec.limit or default(traffic.tapes).limit
    if wanted > most:
        message = f"--policy {spec.name!r}: {wanted} samples are more than every problem has ({most}); say max={most} or less"
        raise typer.BadParameter(message)
    return Contender(spec.name, spec.policy, select, wanted)


def _write(file: Path, found: Audit, traffic: Traffic, bundle: Bundle, seed: int) -> CalibrationError | None:
    """Write the new bundle whole, or say why there is none; the audit is shown either way."""
    try:
        figures = found.after or recalibrated(traffic, refitted(traffic, seed), seed)
        save(new_bundle(traffic, bundle, figures, seed), file)
    except (CalibrationError, OSError) as error:
        return CalibrationError(f"{file} is not written: {error}")
    return None


def _fitted_for(bundle: Bundle | None) -> str:
    if bundle is None:
        return "raw scores, taken at their word"
    return f"fitted for {bundle.prm} judging {bundle.generator}"
