"""What `solve` shows: a bar or a line for each task while it runs, and the figures at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.solving.tasks import Task


class Watcher:
    """Progress on standard error: a bar with the remaining time on a terminal, else a line for each task."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("tasks"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("tasks", total=total, said="")
        self._done = self._solved = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, journal: Journal) -> None:
        """What an earlier run has left: what was repaired, and what need not be asked again."""
        for line in journal.notes:
            self._bar.console.print(f"note: {line}", soft_wrap=True, markup=False)
        self._done = len(journal.units)
        self._solved = sum(one["solved"] is True for one in journal.units.values())
        if self._done:
            self._bar.console.print(
                f"{self._done} tasks are in {journal.path} already, {self._solved} solved"
            )
        self._bar.update(self._task, completed=self._done)

    def tell(self, task: Task, result: Mapping[str, Any] | AdaptiveError) -> None:
        """A task is finished, or failed."""
        self._done += not isinstance(result, AdaptiveError)
        self._solved += not isinstance(result, AdaptiveError) and result["solved"] is True
        self._bar.update(self._task, completed=self._done, said=f"{self._solved} solved")
        if isinstance(result, AdaptiveError) or not self._console.is_terminal:
            typer.echo(f"{self._done}/{self._bar.tasks[0].total} {task.id}: {_became(result)}", err=True)


def _became(result: Mapping[str, Any] | AdaptiveError) -> str:
    """A task's result on one line."""
    if isinstance(result, AdaptiveError):
        return f"failed, left for a later run: {result}"
    word = {True: "solved", False: "not solved", None: "undecided"}[result["solved"]]
    drawn = f"{result['samples']} of {result['max_samples']} samples"
    return f"{word}, {drawn}, {result['completion_tokens']} tokens; {result['because']}".removesuffix("; ")


def show(report: Mapping[str, Any], out: Path) -> None:
    """The figures as a table, and where the files are."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    share = report["solved"] / report["finished"] if report["finished"] else 0.0
    table.add_row(f"{report['solved']}", f"of {report['finished']} tasks solved ({share:.1%})")
    for key in ("undecided", "failed"):
        if report[key]:
            table.add_row(f"{report[key]}", key)
    table.add_row(f"{report['samples']:,}", "samples")
    saved = 1 - report["completion_tokens"] / report["fixed_tokens"] if report["fixed_tokens"] else 0.0
    than = f", {saved:.0%} less than with every sample drawn" if saved > 0.005 else ""
    table.add_row(f"{report['completion_tokens']:,}", f"tokens generated{than}")
    if report["prm_tokens"]:
        table.add_row(f"{report['prm_tokens']:,}", "tokens of the process reward model")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{out / 'report.json'}, {out / 'samples.jsonl'}", soft_wrap=True)
