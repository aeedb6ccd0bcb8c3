"""The shell: one typer application, one line per command.

A command's module imports typer and little else at its top; what it runs, it imports when it runs, so that
`--help` stays fast.
"""

from __future__ import annotations

import typer

from adaptive_middleware.cli import config_command
from adaptive_middleware.cli.bench_replay import replay
from adaptive_middleware.cli.demo import demo

app = typer.Typer(no_args_is_help=True, add_completion=False)
bench = typer.Typer(no_args_is_help=True, help="Compare policies, offline.")
app.add_typer(bench, name="bench")
app.add_typer(config_command.app, name="config")

app.command("demo")(demo)
bench.command("replay")(replay)


@app.callback()
def root() -> None:
    """Give every LLM call the compute it needs and no more."""


def main() -> None:
    """Run the command line."""
    app()
