"""The parts that a configuration names: read, loaded, and used once, so that what cannot work is seen here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.config import Config, check, refusal
from adaptive_middleware.config.build_scorer import calibrator_of, scorer_of
from adaptive_middleware.config.prms import PoolingPrm
from adaptive_middleware.doctor.extras import DISTRIBUTION, model_of
from adaptive_middleware.doctor.finding import Finding, fail, ok, warn
from adaptive_middleware.engine import checked_scores
from adaptive_middleware.errors import (
    AdaptiveError,
    BundleMismatch,
    CheckpointError,
    ConfigError,
    ScorerError,
)
from adaptive_middleware.ports import Calibrator, Scorer
from adaptive_middleware.types import Path, Request

T = TypeVar("T")
_ASKED = Request("Ann has 2 apples and gets 3 more. How many apples does she have?")
_ANSWERED = Path(("She has 2 + 3 = 5 apples.",))


def read(file: str) -> tuple[Config | None, Finding]:
    """The configuration of a file, and whether it can be used."""
    name = "config"
    try:
        result = check(file)
    except ConfigError as error:
        return None, fail(name, str(error), "name a readable .yaml, .yml or .toml file: --config FILE")
    if isinstance(result, tuple):
        fix = f"correct it; `{DISTRIBUTION} config check {file}` says the same"
        return None, fail(name, str(refusal(result, file)), fix)
    names = ", ".join(result.settings.policies) or "none: every call passes through"
    return result, ok(name, f"{file}: policies {names}")


def keys(config: Config) -> Iterator[Finding]:
    """Whether the environment variables that hold keys are set; their values are never shown."""
    settings = config.settings
    named = [("upstream.key_env", settings.upstream.key_env)] if settings.upstream is not None else []
    prm = model_of(config)
    if isinstance(prm, PoolingPrm):
        named.append(("prm.key_env", prm.key_env))
    for key, variable in named:
        if variable is None:
            continue
        value = os.environ.get(variable, "")
        if not value.strip():
            yield fail("keys", f"{key} names {variable}, which is not set", f"export {variable}=...")
        elif value != value.strip():
            yield warn(
                "keys", f"{variable} has space around it, which is not sent", f"export {variable} anew"
            )
        else:
            yield ok("keys", f"{variable} is set")


def parts(config: Config) -> Iterator[Finding]:
    """Whether the process reward model loads and scores, the calibration fits it, and the policies can be made."""
    scorer = _tried("prm", lambda: scorer_of(config))
    yield _prm(scorer)
    loaded = None if isinstance(scorer, Finding) else scorer
    calibrate = _tried("calibration", lambda: calibrator_of(config, loaded))
    yield calibrate if isinstance(calibrate, Finding) else _calibration(config, calibrate)
    usable = uncalibrated if isinstance(calibrate, Finding) else calibrate
    plan = _tried("policies", lambda: config.assembled(loaded, usable))
    if isinstance(plan, Finding):
        yield plan
    else:
        yield ok("policies", f"made: {', '.join(rule.name for rule in plan.rules)}")


def _prm(scorer: Scorer | Finding | None) -> Finding:
    if isinstance(scorer, Finding):
        return scorer
    return ok("prm", "none: policies decide by votes") if scorer is None else scored(scorer)


def scored(scorer: Scorer) -> Finding:
    """What is to be said of the scores of one small answer, and of the time they took."""
    began = time.perf_counter()
    found = _tried("prm", lambda: checked_scores([_ANSWERED], scorer.score(_ASKED, [_ANSWERED])))
    took = (time.perf_counter() - began) * 1000
    if isinstance(found, Finding):
        return found
    if found[0].rejected is not None:
        return fail("prm", f"scores cannot be used: {found[0].rejected}", _SCORING)
    return ok("prm", f"scored a small answer in {took:.0f} ms")


def _calibration(config: Config, calibrate: Calibrator) -> Finding:
    written, name = config.settings.calibration, "calibration"
    if calibrate is uncalibrated:
        if config.settings.prm is None:
            return ok(name, "none, as there are no scores")
        fix = f"fit one on your traffic: {DISTRIBUTION} calibrate"
        return warn(name, "none: scores are taken at their word, and no probability is honest", fix)
    if written is None or config.resolved(written).is_dir():
        return ok(name, f"{written} fits the process reward model")
    papers = bundle.load(lab.CALIBRATION if written == "lab" else config.resolved(written))
    if config.settings.generator is None:
        what = f"{written} was fitted for the generator {papers.generator!r}; which one is used is not known"
        return warn(name, what, "say it in the configuration, so that another one is refused: generator: ...")
    return ok(name, f"{written} fits {papers.prm} and {papers.generator}")


_SCORING = "check prm in the configuration, and the model or server behind it"
_FIXES: tuple[tuple[type[Exception], str], ...] = (
    (BundleMismatch, f"fit a calibration for this pair: {DISTRIBUTION} calibrate"),
    (CheckpointError, "check prm.model, and download the weights again where they are cut"),
    (ScorerError, _SCORING),
    (AdaptiveError, "correct the configuration at the place named"),
    (ModuleNotFoundError, "install what is missing, or set PYTHONPATH to where it is"),
)


def _tried(name: str, make: Callable[[], T]) -> T | Finding:
    """What `make` makes, or why not."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the user's own parts may raise anything, and all checks are to run
        what = str(error) if isinstance(error, AdaptiveError) else f"{type(error).__name__}: {error}"
        fix = next(
            (fix for kind, fix in _FIXES if isinstance(error, kind)), "correct the part that raised this"
        )
        return fail(name, what, fix)
