"""The options of `calibrate` as settings: short forms of samplers, scorers and checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SAMPLER = MappingProxyType({"model": "model", "temperature": "temperature", "max_tokens": "max_tokens"})
_SAME = (
    "answers", "prefixes", "rollouts", "held_out", "seed", "concurrency", "budget_tokens", "max_errors", "method",
    "prm_id",
)  # fmt: skip


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given on the command line, and only those.

    >>> given({"sampler": "http://localhost:8000/v1", "model": "m", "answers": 8, "seed": None})
    {'sampler': {'kind': 'openai', 'base_url': 'http://localhost:8000/v1', 'model': 'm'}, 'answers': 8}
    >>> given({"sampler": "lab", "prm": "models/prm", "check": "my.checks:right"})["check"]
    {'kind': 'python', 'target': 'my.checks:right'}
    """
    sampler = _model(options.get("sampler"))
    sampler |= {key: options[name] for name, key in _SAMPLER.items() if options.get(name) is not None}
    sampler |= {"prefill": True} if options.get("prefill") else {}
    sections = {"sampler": sampler, "prm": _model(options.get("prm")), "check": _check(options.get("check"))}
    found = {name: section for name, section in sections.items() if section}
    found |= {name: options[name] for name in _SAME if options.get(name) is not None}
    return found | ({"generator": options["generator_id"]} if options.get("generator_id") else {})


def _model(written: str | None) -> dict[str, Any]:
    if written is None:
        return {}
    if written == "lab":
        return {"kind": "lab"}
    if written.startswith(("http://", "https://")):
        return {"kind": "openai", "base_url": written}
    if _TARGET.fullmatch(written):
        return {"kind": "python", "target": written}
    return {"kind": "transformers", "model": written}


def _check(written: str | None) -> dict[str, Any]:
    if written is None:
        return {}
    return {"kind": "python", "target": written} if ":" in written else {"kind": written}
