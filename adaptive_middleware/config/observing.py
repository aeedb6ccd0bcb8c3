"""Who is told of finished calls, as a configuration names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from adaptive_middleware.config.factory import made
from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Model, Target
from adaptive_middleware.ports import Observer

if TYPE_CHECKING:
    from adaptive_middleware.config.given import Given


class PythonObserver(Model):
    """Your own observer: an object with the method `ended(request, outcome, seconds)`."""

    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


def observers_of(config: Given) -> tuple[Observer, ...]:
    """The observers that a configuration names, made in its order.

    Raises `ConfigError` with the place of one that cannot be made.
    """
    return tuple(
        made(config.document, ("observers", index), each.target, each.args, "ended")
        for index, each in enumerate(config.settings.observers)
    )
