"""What `calibrate` runs: the session, its pictures, and the cost beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typer

from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.cli.calibrate_shown import Watcher, facts
from adaptive_middleware.collect import build
from adaptive_middleware.collect.conclude import Result
from adaptive_middleware.collect.cost import Cost, reckon
from adaptive_middleware.collect.fitting import Fit
from adaptive_middleware.collect.journal import finished_units
from adaptive_middleware.collect.prompts import Prompt, read_prompts
from adaptive_middleware.collect.reading import read_settings
from adaptive_middleware.collect.session import Session, run_recorded, size_of
from adaptive_middleware.collect.session import run as run_session
from adaptive_middleware.collect.settings import Settings
from adaptive_middleware.recording import Problem

_CONTINUES: Mapping[bool | None, str] = MappingProxyType(
    {
        False: "this sampler cannot continue a prefix: questions and finished answers only",
        None: "whether this sampler can continue a prefix shows when it is made; reckoned as if it could",
    }
)


@dataclass(frozen=True, slots=True)
class Run:
    """The command's options: files, and settings as they were given."""

    prompts: Path
    out: Path
    config: Path | None
    given: Mapping[str, Any]
    resume: bool = False
    allow_code: bool = False


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The cost of a run before it, and what to know of it."""

    cost: Cost
    settings: Settings
    notes: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self.cost), "budget_tokens": self.settings.budget_tokens, "notes": list(self.notes)}


def run(ordered: Run) -> Result:
    """Collect, fit and evaluate; then draw the pictures. Raises what the parts raise."""
    settings = read_settings(ordered.config, ordered.given)
    prompts = read_prompts(ordered.prompts)
    with Watcher() as watcher:
        session = Session(
            settings,
            ordered.out,
            _method(settings),
            resume=ordered.resume,
            allow_code=ordered.allow_code,
            tell=watcher.tell,
            progress=watcher.progress,
        )
        result = _result(session, prompts)
    _draw(result, ordered.out)
    return result


def cost(ordered: Run) -> Reckoned:
    """What `run` would cost; reads the files and a journal, loads and starts nothing."""
    settings = read_settings(ordered.config, ordered.given)
    read = read_prompts(ordered.prompts)
    prompts = [each for each in read if isinstance(each, Prompt)]
    if len(prompts) < len(read):
        nothing = Cost(len(read), 0, 0, 0, 0, 0, None)
        return Reckoned(
            nothing, settings, ("a recording: nothing is drawn, and only missing scores are computed",)
        )
    if settings.sampler is None:
        build.source(settings)  # raises: it says what is missing
    continues = build.continues(settings)
    notes = (_CONTINUES[continues],) if continues in _CONTINUES else ()
    most = settings.sampler.max_tokens if settings.sampler is not None else 0
    units = finished_units(ordered.out)
    reckoned = reckon(prompts, size_of(settings), most, continues=continues is not False, units=units)
    return Reckoned(reckoned, settings, notes)


def _result(session: Session, read: Sequence[Prompt] | Sequence[Problem]) -> Result:
    prompts = [each for each in read if isinstance(each, Prompt)]
    if prompts:
        return run_session(session, prompts)
    return run_recorded(session, [each for each in read if isinstance(each, Problem)])


def _method(settings: Settings) -> Fit:
    """The method by its name: examples in, calibration out."""
    seed = settings.seed
    return lambda examples: fit(examples, seed=seed)


def _draw(result: Result, out: Path) -> None:
    try:
        from adaptive_middleware.pictures import calibration_report  # noqa: PLC0415 - needs the extra `report`
    except ModuleNotFoundError as error:
        typer.echo(f"note: no pictures were drawn: {error}", err=True)
        return
    calibration_report(
        out,
        title="Calibration",
        facts=facts(result),
        calibration=result.fitted.bundle.calibration,
        held_out=result.fitted.held_out,
    )
