"""Commands that are imported when they are asked for, so that one of them costs no more than itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

COMMANDS: Mapping[str, str] = MappingProxyType({
    "bench": "bench_replay:app",
    "config": "config_command:app",
    "report": "report_command:app",
    "trace": "trace_command:app",
    "audit": "audit:audit",
    "calibrate": "calibrate:calibrate",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "explain": "explain:explain",
    "feedback": "feedback:feedback",
    "finetune": "finetune:finetune",
    "logs": "logs:logs",
    "serve": "serve:serve",
    "serve-prm": "serve_prm:serve_prm",
    "solve": "solve:solve",
    "view": "view:view",
    "what-if": "what_if:what_if",
})  # fmt: skip
"""Where each command is: a module of this package, and in it a function, or a typer application with commands of its own."""


class Later(TyperGroup):
    """A group whose commands are those of `COMMANDS`, in that order."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**settings)
        self.commands: Any = dict.fromkeys(COMMANDS)  # names alone, for what a mistyped one may have meant

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - click's
        """Their names; nothing is imported."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - a command of click's or of typer's own copy of it
        """The command of that name, imported and made; None for another name."""
        place = COMMANDS.get(cmd_name)
        return None if place is None else _made(cmd_name, place)


def _made(name: str, place: str) -> Any:  # noqa: ANN401 - as above
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"adaptive_middleware.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group: Any = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)
