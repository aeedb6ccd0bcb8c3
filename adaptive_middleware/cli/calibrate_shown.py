"""What `calibrate` shows: progress while it runs, the cost before, and the figures at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from adaptive_middleware.cli.calibrate_run import Reckoned
    from adaptive_middleware.collect.conclude import Result
    from adaptive_middleware.collect.control import Spent

_EVERY = 10.0


class Watcher:
    """Progress on standard error: a bar with the remaining time on a terminal, else a line every ten seconds."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("problems"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[spent]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("problems", total=None, spent="")
        self._begun = self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, line: str) -> None:
        """A note that stays."""
        self._bar.console.print(f"note: {line}", soft_wrap=True, markup=False)

    def progress(self, done: int, failed: int, total: int, spent: Spent) -> None:
        """How far it is."""
        words = f"{spent.generator:,} tokens, {spent.prm_tokens:,} of the PRM"
        words += f", {failed} not finished" if failed else ""
        self._bar.update(self._task, total=total, completed=done, spent=words)
        now = time.monotonic()
        if self._console.is_terminal or now - self._said < _EVERY:
            return
        self._said = now
        left = (now - self._begun) / max(done, 1) * (total - done)
        typer.echo(f"{done} of {total} problems, {words}, about {_duration(left)} left", err=True)


def _duration(seconds: float) -> str:
    """Seconds in words.

    >>> _duration(42), _duration(150), _duration(9000)
    ('42 s', '3 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60 + 0.001:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def show_cost(reckoned: Reckoned) -> None:
    """The cost, before anything is started."""
    cost = reckoned.cost
    typer.echo(f"{cost.prompts} prompts, {cost.finished} of them finished. Still to do, at most:")
    typer.echo(f"  {cost.calls:,} calls for {cost.generations:,} answers and continuations")
    typer.echo(f"  {cost.prompt_tokens:,} prompt tokens, {cost.completion_tokens:,} generated tokens")
    if cost.expected_tokens is not None:
        typer.echo(f"  expected, from the finished problems: {cost.expected_tokens:,} tokens in all")
    if reckoned.settings.budget_tokens is not None:
        typer.echo(
            f"  the budget ends it at {reckoned.settings.budget_tokens:,} tokens, earlier runs counted"
        )
    for note in reckoned.notes:
        typer.echo(f"note: {note}")
    typer.echo("Nothing was started.")


def show_result(result: Result, out: Path) -> None:
    """The figures, and where everything is."""
    for name, value in facts(result):
        typer.echo(f"{name + ':':<14}{value}")
    typer.echo()
    console = Console(highlight=False)
    width = console.width if console.is_terminal else 120
    Console(highlight=False, width=width).print(_table(result.report["held_out"]))
    written = [
        "calibration.json",
        "report.json",
        "report.html",
        "examples_fit.jsonl.gz",
        "examples_held_out.jsonl.gz",
    ]
    there = [name for name in written if (out / name).exists()]
    typer.echo(f"\nWritten to {out}: {', '.join(there)}")
    typer.echo(f"Use it: `calibration: {out / 'calibration.json'}` in a configuration")


def facts(result: Result) -> list[tuple[str, str]]:
    """What the calibration is of, in words."""
    told = result.report
    problems, paths, counts, tokens = (told[name] for name in ("problems", "paths", "counts", "tokens"))
    share = counts["right"] / max(counts["answers"], 1)
    return [
        ("PRM", told["prm"]),
        ("generator", told["generator"]),
        (
            "problems",
            f"{problems['fitted']} fitted, {problems['held_out']} held out, of {problems['prompts']} prompts",
        ),
        ("paths", f"{paths['fitted']:,} fitted, {paths['held_out']:,} held out"),
        (
            "answers",
            f"{counts['answers']:,} drawn, {share:.1%} right; {counts['rollouts']:,} rollouts beside them",
        ),
        ("of all these", _odd(counts)),
        (
            "tokens",
            ", ".join(f"{tokens[f'{name}_tokens']:,} {name}" for name in ("prompt", "completion", "prm")),
        ),
    ]


def _odd(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['cut']:,} cut by their limit (wrong), {counts['unparsable']:,} without a readable answer, "
        f"{counts['unjudged']:,} that the check failed on (left out), {counts['unscored']:,} paths without scores (left out)"
    )


def _table(evaluations: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None)
    for name in (
        "held out",
        "problems",
        "paths",
        "ECE raw",
        "calibr.",
        "Brier raw",
        "calibr.",
        "10 % bound",
    ):
        table.add_column(name, justify="left" if name == "held out" else "right", no_wrap=True)
    for kind, one in evaluations.items():
        covers = f"{one['coverage']['share']:.1%} ± {one['coverage']['error']:.1%}"
        numbers = [one[name] for name in ("ece_raw", "ece_calibrated", "brier_raw", "brier_calibrated")]
        table.add_row(
            kind, str(one["problems"]), str(one["paths"]), *(f"{number:.3f}" for number in numbers), covers
        )
    return table
