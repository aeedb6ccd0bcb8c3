"""The shell: one typer application, one line per command.

A command's module imports typer and little else at its top; what it runs, it imports when it runs, so that
`--help` stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

import typer

from adaptive_middleware.cli import config_command, report_command, trace_command
from adaptive_middleware.cli.audit import audit
from adaptive_middleware.cli.bench_replay import replay
from adaptive_middleware.cli.calibrate import calibrate
from adaptive_middleware.cli.demo import demo
from adaptive_middleware.cli.doctor import doctor
from adaptive_middleware.cli.explain import explain
from adaptive_middleware.cli.feedback import feedback
from adaptive_middleware.cli.finetune import finetune
from adaptive_middleware.cli.logs import logs
from adaptive_middleware.cli.serve import serve
from adaptive_middleware.cli.serve_prm import serve_prm
from adaptive_middleware.cli.solve import solve
from adaptive_middleware.cli.view import view
from adaptive_middleware.cli.what_if import what_if
from adaptive_middleware.errors import AdaptiveError

app = typer.Typer(no_args_is_help=True, add_completion=False)
bench = typer.Typer(no_args_is_help=True, help="Compare policies, offline.")
app.add_typer(bench, name="bench")
app.add_typer(config_command.app, name="config")
app.add_typer(report_command.app, name="report")
app.add_typer(trace_command.app, name="trace")

app.command("audit")(audit)
app.command("calibrate")(calibrate)
app.command("demo")(demo)
app.command("doctor")(doctor)
app.command("explain")(explain)
app.command("feedback")(feedback)
app.command("finetune")(finetune)
app.command("logs")(logs)
app.command("serve")(serve)
app.command("serve-prm")(serve_prm)
app.command("solve")(solve)
app.command("view")(view)
app.command("what-if")(what_if)
bench.command("replay")(replay)


@app.callback()
def root() -> None:
    """Give every LLM call the compute it needs and no more."""


_PRM = "torch", "transformers", "safetensors", "peft", "numpy", "scipy", "sklearn"
_SERVER = "starlette", "uvicorn", "prometheus_client"
_EXTRAS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_PRM, "prm") | dict.fromkeys(_SERVER, "server") | {"httpx2": "http", "matplotlib": "report"}
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
