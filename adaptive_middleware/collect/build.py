"""The parts that settings describe, built: the source of answers, the scorer, and the check of each prompt."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path as File
from typing import cast

from adaptive_middleware import lab
from adaptive_middleware.collect.chat_objects import source_of
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.collect.settings import (
    LabSampler,
    OpenAISampler,
    PythonCheck,
    PythonSampler,
    Settings,
    TransformersSampler,
    UnitTestsCheck,
)
from adaptive_middleware.collect.source import Source
from adaptive_middleware.config import load
from adaptive_middleware.config.document import from_mapping
from adaptive_middleware.config.factory import made
from adaptive_middleware.config.prms import PythonPrm
from adaptive_middleware.errors import CalibrationError, ConfigError, SandboxError
from adaptive_middleware.ports import Scorer, Verifier
from adaptive_middleware.verify.exact import exact_answer, expected_answer
from adaptive_middleware.verify.function import Check, function_check
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.sandbox.choose import sandbox
from adaptive_middleware.verify.sandbox.limits import Sandbox
from adaptive_middleware.verify.unit_tests import unit_tests


def source(settings: Settings) -> Source:
    """The source of answers, loaded. Raises `ConfigError` without a sampler, and what its loader raises."""
    match settings.sampler:
        case LabSampler() as own:
            return _local(lab.POLICY, own, "cpu", "float32")
        case TransformersSampler() as own:
            place = File(own.model) if File(own.model).exists() else own.model
            return _local(place, own, own.device, own.dtype)
        case OpenAISampler() as own:
            return _endpoint(own)
        case PythonSampler() as own:
            model = made(from_mapping({}), ("sampler",), own.target, own.args, "__class__")
            return source_of(model, own.target, own.max_tokens)
        case None:
            message = "no sampler: say with --sampler (or `sampler:`) what to draw answers from, such as --sampler lab"
            raise ConfigError(message)


def continues(settings: Settings) -> bool | None:
    """Whether the sampler can continue a prefix; None where only loading it would tell."""
    match settings.sampler:
        case OpenAISampler() as own:
            return own.prefill
        case PythonSampler():
            return None
        case _:
            return True


def scorer(settings: Settings) -> tuple[Scorer, str]:
    """The process reward model and its id. Raises `ConfigError` without one, and what its loader raises."""
    if settings.prm is None:
        message = (
            "no process reward model: say with --prm (or `prm:`) what scores the answers, such as --prm lab"
        )
        raise ConfigError(message)
    wanted = {"version": 1, "prm": settings.prm.model_dump(exclude_none=True)}
    built = cast("Scorer", load(wanted).build().scorer)  # `prm` is there, so there is one
    target = settings.prm.target if isinstance(settings.prm, PythonPrm) else ""
    return built, settings.prm_id or str(getattr(built, "id", target))


def verifier(settings: Settings, *, allow_code: bool = False) -> Callable[[Prompt], Verifier]:
    """What makes the check of a prompt; your own function is imported once. Raises `ConfigError` for a bad one.

    Unit tests run in the best sandbox that works here; without one only where `allow_code` says so.
    """
    match settings.check:
        case UnitTestsCheck(seconds=seconds, memory_mb=memory):
            where, lasting = _sandbox(allow_code=allow_code), Lasting()
            return lambda prompt: unit_tests(
                str(prompt.fields["tests"]), seconds, memory, where=where, lasting=lasting
            )
        case PythonCheck(target=target):
            check = _function(target)
            return lambda prompt: function_check(check, prompt.fields)
        case _:
            return lambda prompt: exact_answer(str(prompt.fields["answer"]))


def checkable(settings: Settings, prompts: Sequence[Prompt], *, allow_code: bool) -> None:
    """Raise `CalibrationError` where a prompt lacks what its answers are to be checked against."""
    if isinstance(settings.check, UnitTestsCheck):
        _sandbox(allow_code=allow_code)
    lacking = [prompt.id for prompt in prompts if _lacks(settings, prompt)]
    if lacking:
        what = "tests" if isinstance(settings.check, UnitTestsCheck) else "answer"
        message = (
            f"{len(lacking)} of {len(prompts)} prompts have no usable {what!r}, {lacking[0]!r} for one: add it, or "
            "check answers another way (--check package.module:function)"
        )
        raise CalibrationError(message)


def _sandbox(*, allow_code: bool) -> Sandbox:
    try:
        return sandbox()
    except SandboxError as error:
        if allow_code:
            return sandbox("none", no_sandbox=True)
        message = (
            f"unit tests run code that a model wrote, and {error}. Or say --allow-code-execution, which runs it without a "
            "sandbox (best inside a container), or use another --check"
        )
        raise CalibrationError(message) from error


def _lacks(settings: Settings, prompt: Prompt) -> bool:
    if isinstance(settings.check, PythonCheck):
        return False
    if isinstance(settings.check, UnitTestsCheck):
        tests = prompt.fields.get("tests")
        return not isinstance(tests, str) or not tests.strip()
    answer = prompt.fields.get("answer")
    known = isinstance(answer, (str, int, float)) and not isinstance(answer, bool)
    return not known or expected_answer(str(answer)) is None


def _local(place: File | str, own: LabSampler | TransformersSampler, device: str, dtype: str) -> Source:
    from adaptive_middleware.sampling.local import load_sampler  # noqa: PLC0415 - loads torch

    sampler = load_sampler(
        place,
        device=device,
        dtype=dtype,
        temperature=own.temperature,
        top_p=own.top_p,
        max_new_tokens=own.max_tokens,
        seed=0,
    )
    name = _lab_id() if isinstance(own, LabSampler) else sampler.id
    return Source(name, sampler, own.max_tokens, together=own.batch, concurrent=False)


def _lab_id() -> str:
    """Name and weights of the lab's policy, as its shipped calibration names it."""
    weights = (lab.POLICY / "model.safetensors").read_bytes()
    return f"lab/{lab.POLICY.name}@{hashlib.sha256(weights).hexdigest()[:12]}"


def _endpoint(own: OpenAISampler) -> Source:
    from adaptive_middleware.sampling import openai_http  # noqa: PLC0415 - httpx2, where it is used

    place = openai_http.Endpoint(
        own.base_url,
        own.model,
        key=os.environ.get(own.key_env, ""),
        temperature=own.temperature,
        top_p=own.top_p,
        max_tokens=own.max_tokens,
        logprobs=own.logprobs,
        timeout=own.timeout,
    )
    sampler = openai_http.OpenAISampler(place)
    return Source(sampler.id, sampler, own.max_tokens, continues=own.prefill)


def _function(target: str) -> Check:
    module, _, names = target.partition(":")
    try:
        found = reduce(getattr, names.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        message = (
            f"check.target is {target!r}, which cannot be imported ({error}): correct it, or set PYTHONPATH"
        )
        raise ConfigError(message) from error
    if not callable(found):
        message = (
            f"check.target is {target!r}, which is {found!r}: a function (prompt, answer) -> bool is needed"
        )
        raise ConfigError(message)
    return cast("Check", found)
