"""A calibration session: prompts in, a folder with journal, examples, bundle and report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import TypeAlias

from adaptive_middleware.collect import build
from adaptive_middleware.collect.conclude import Papers, Result, conclude
from adaptive_middleware.collect.control import Control, Spent, UnitFailed
from adaptive_middleware.collect.files import weights_of
from adaptive_middleware.collect.fitting import Fit, enough
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.collect.problem import Size
from adaptive_middleware.collect.prompts import Prompt, fingerprint
from adaptive_middleware.collect.recorded import as_prompt, measure_recorded, scored
from adaptive_middleware.collect.run import Collected, collect
from adaptive_middleware.collect.scores import Scoring
from adaptive_middleware.collect.settings import Settings
from adaptive_middleware.collect.units import World, spent
from adaptive_middleware.errors import CalibrationError, ConfigError
from adaptive_middleware.recording import Problem as Recorded

_NOT_OF_THE_DATA = ("base_url", "key_env", "timeout", "device", "batch_tokens")

Tell: TypeAlias = Callable[[str], None]
"""Takes a line for the user."""

Progress: TypeAlias = Callable[[int, int, int, Spent], None]
"""Told how many problems are finished, have failed, and there are, and what was spent."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command: where to write, whether to go on, how to fit, and whom to tell."""

    settings: Settings
    out: File
    fit: Fit
    resume: bool = False
    allow_code: bool = False
    tell: Tell = lambda _line: None
    progress: Progress = lambda _done, _failed, _all, _spent: None


def size_of(settings: Settings) -> Size:
    """How much is drawn for each problem."""
    return Size(settings.answers, settings.prefixes, settings.rollouts)


def run(session: Session, prompts: Sequence[Prompt]) -> Result:
    """Collect what is missing, fit, evaluate, and write everything to the folder.

    Raises `CalibrationError`, `ConfigError` and what the parts raise; what was collected stays in the journal.
    """
    settings, tell = session.settings, session.tell
    enough(len(prompts), settings.held_out)
    build.checkable(settings, prompts, allow_code=session.allow_code)
    source, verifier = build.source(settings), build.verifier(settings, allow_code=session.allow_code)
    if not source.continues:
        tell(
            f"{source.id!r} cannot continue a given text: only questions and finished answers are collected, no "
            "prefixes. The calibration will not tell how unfinished answers will end"
        )
    scorer, prm = build.scorer(settings)
    with Journal(session.out, identity(settings, prompts, source.id, prm), resume=session.resume) as journal:
        for note in journal.notes:
            tell(note)
        control = Control(settings.budget_tokens, spent(journal), settings.max_errors)
        scoring = Scoring(scorer, journal, control)
        world = World(source, verifier, scoring, settings.system, settings.seed)
        collected = _collected(session, prompts, world)
    _refuse_errors(control, collected)
    ids = [prompt.id for prompt in prompts]
    papers = Papers(prm, settings.generator or source.id, ids, control.spent)
    return conclude(session.out, settings, session.fit, collected, papers)


def run_recorded(session: Session, problems: Sequence[Recorded]) -> Result:
    """As `run`, for problems whose outcomes were recorded: nothing is drawn, and scored only where scores lack."""
    settings = session.settings
    enough(len(problems), settings.held_out)
    lacking = [problem.id for problem in problems if not scored(problem)]
    if settings.prm is not None and lacking:
        return _scored_now(session, problems)
    measured = [measure_recorded(problem, None) for problem in problems]
    if lacking:
        session.tell(
            f"{len(lacking)} of {len(problems)} problems lack some scores, {lacking[0]!r} for one: what has none is "
            "left out (give --prm to score it)"
        )
    papers = Papers(_recorded_prm(settings), settings.generator or "recorded", _ids(problems), Spent())
    return conclude(session.out, settings, session.fit, Collected(tuple(measured), {}), papers)


def _scored_now(session: Session, problems: Sequence[Recorded]) -> Result:
    settings = session.settings
    scorer, prm = build.scorer(settings)
    prompts = [as_prompt(problem) for problem in problems]
    with Journal(session.out, identity(settings, prompts, "recorded", prm), resume=session.resume) as journal:
        for note in journal.notes:
            session.tell(note)
        control = Control(None, spent(journal), settings.max_errors)
        scoring, measured = Scoring(scorer, journal, control), []
        for problem in problems:
            try:
                measured.append(measure_recorded(problem, scoring))
            except UnitFailed as error:
                message = f"problem {problem.id!r} could not be scored ({error}); correct the cause and go on with --resume"
                raise CalibrationError(message) from error
            session.progress(len(measured), 0, len(problems), control.spent)
    papers = Papers(prm, settings.generator or "recorded", _ids(problems), control.spent)
    return conclude(session.out, settings, session.fit, Collected(tuple(measured), {}), papers)


def _recorded_prm(settings: Settings) -> str:
    if settings.prm_id is None:
        message = (
            "the scores are recorded, but not by which process reward model: give its id with --prm-id, as the bundle "
            "is to name it"
        )
        raise ConfigError(message)
    return settings.prm_id


def _ids(problems: Sequence[Recorded]) -> list[str]:
    return [problem.id for problem in problems]


def identity(settings: Settings, prompts: Sequence[Prompt], generator: str, prm: str) -> dict[str, object]:
    """What the collected data depends on, by name: a journal of anything else is not gone on with."""
    parts: dict[str, object] = {"prompts": fingerprint(prompts), "generator": generator, "prm": prm}
    for name in ("sampler", "prm", "check"):
        section = getattr(settings, name)
        values = {} if section is None else section.model_dump(mode="json", exclude_none=True)
        parts |= {f"{name}.{key}": value for key, value in values.items() if key not in _NOT_OF_THE_DATA}
        if values.get("kind") == "transformers" and (weights := weights_of(File(values["model"]))):
            parts[f"{name}.weights"] = weights
    drawn = ("answers", "prefixes", "rollouts", "system", "seed")
    return parts | {name: getattr(settings, name) for name in drawn}


def _collected(session: Session, prompts: Sequence[Prompt], world: World) -> Collected:
    def watch(done: int, failed: int) -> None:
        session.progress(done, failed, len(prompts), world.control.spent)

    size = size_of(session.settings)
    collected = collect(prompts, world, size, concurrency=session.settings.concurrency, watch=watch)
    if collected.stopped == "budget":
        session.tell(
            f"stopped before the budget of {session.settings.budget_tokens} tokens would be exceeded: {len(collected.problems)} of "
            f"{len(prompts)} problems are finished; go on with --resume and a larger --budget-tokens"
        )
    for name, cause in list(collected.failed.items())[:3]:
        session.tell(f"problem {name!r} was not finished ({cause}); --resume tries it again")
    return collected


def _refuse_errors(control: Control, collected: Collected) -> None:
    if control.error:
        message = (
            f"stopped, because {control.error}. Nothing is lost: {len(collected.problems)} problems are finished; correct the "
            "cause and go on with --resume, which does only what is missing"
        )
        raise CalibrationError(message)
