"""The shell: one typer application, one line per command.

A command's module is imported when it is asked for (`later.py`). It imports typer and little else at its top; what it
runs, it imports when it runs, so that `--help` stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

import typer

from adaptive_middleware.cli.later import Later
from adaptive_middleware.errors import AdaptiveError

app = typer.Typer(cls=Later, no_args_is_help=True, add_completion=False)


@app.callback()
def root() -> None:
    """Give every LLM call the compute it needs and no more."""


_PRM = "torch", "transformers", "safetensors", "peft", "numpy", "scipy", "sklearn"
_SERVER = "starlette", "uvicorn", "prometheus_client"
_EXTRAS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_PRM, "prm")
    | dict.fromkeys(_SERVER, "server")
    | {"httpx2": "http", "matplotlib": "report", "pyarrow": "parquet"}
)


def main() -> None:
    """Run the command line; what is wrong with input or installation is one line, not a traceback."""
    try:
        app()
    except AdaptiveError as error:
        _stop(f"{error} [{error.code}]")
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        _stop(
            f"{error.name} is not installed, and this command needs it: pip install 'adaptive-middleware[{extra}]'"
        )


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise SystemExit(1)
