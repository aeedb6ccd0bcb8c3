"""The option `--key-env`: the key of clients, from the environment and never from the command line."""

from __future__ import annotations

import os


def key_in(name: str | None) -> str | None:
    """The key in the environment variable `name`; raises `ConfigError` when there is none."""
    from adaptive_middleware.errors import ConfigError  # noqa: PLC0415 - as every command: imported when it runs

    if name is None:
        return None
    if not (key := os.environ.get(name, "").strip()):
        message = f"the environment variable {name} (--key-env) is not set: put the key of clients there"
        raise ConfigError(message)
    return key
