"""The user's own parts: `package.module:factory`, imported and called when the configuration is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from typing import Any

from adaptive_middleware.config.document import Document, KeyPath, Problem, dotted, refusal
from adaptive_middleware.errors import ConfigError


def made(
    document: Document, path: KeyPath, target: str, args: Mapping[str, object], method: str = "__call__"
) -> Any:  # noqa: ANN401 - whatever the user's factory makes; the caller names its protocol
    """What the factory `target` makes of `args`: an object that has `method`.

    Raises `ConfigError` with the place of the key when the factory cannot be imported or called with these
    arguments, or makes something else. What the user's own code raises is passed on as it is.
    """
    factory = _imported(document, (*path, "target"), target)
    try:
        inspect.signature(factory).bind(**args)
    except TypeError as error:
        raise _refused(document, (*path, "args"), f"do not fit {target!r}: {error}") from error
    part = factory(**args)
    if not callable(getattr(part, method, None)):
        what = "a callable" if method == "__call__" else f"an object with the method {method!r}"
        message = f"is {target!r}, which made {part!r}; a factory of {what} is needed"
        raise _refused(document, (*path, "target"), message)
    return part


def _imported(document: Document, path: KeyPath, target: str) -> Callable[..., object]:
    module, _, names = target.partition(":")
    try:
        found = reduce(getattr, names.split("."), import_module(module))
    except ImportError as error:
        message = f"is {target!r}, but {module!r} cannot be imported ({error}); install it or set PYTHONPATH"
        raise _refused(document, path, message) from error
    except AttributeError as error:
        raise _refused(document, path, f"is {target!r}, but there is no such name: {error}") from error
    if not callable(found):
        message = f"is {target!r}, which is {found!r}; a function or class to call with `args` is needed"
        raise _refused(document, path, message)
    return found


def _refused(document: Document, path: KeyPath, message: str) -> ConfigError:
    return refusal([Problem(f"{dotted(path)} {message}", path, document.at(path))], document.file)
