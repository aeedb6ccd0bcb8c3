"""`adaptive-middleware bench replay`: what policies would have cost and achieved on recorded samples."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptive_middleware.cli.policy_spec import parse
from adaptive_middleware.errors import AdaptiveError

if TYPE_CHECKING:
    from adaptive_middleware.cli.replay_rows import Row
    from adaptive_middleware.cli.replay_setup import Plan


app = typer.Typer(no_args_is_help=True, help="Compare policies, offline.")


class Order(StrEnum):
    """How samples are ordered."""

    recorded = "recorded"
    shuffled = "shuffled"


class Select(StrEnum):
    """How the answer is selected."""

    argmax = "argmax"
    calibrated_vote = "calibrated-vote"
    majority = "majority"
    verified = "verified"


class Answers(StrEnum):
    """When samples agree."""

    as_written = "as-written"
    canonical = "canonical"


class By(StrEnum):
    """What keeps samples apart."""

    seed = "seed"


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    recording: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.gz recording (docs/recordings.md).")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="KIND[:field=value,..], repeatable. Kinds: fixed (n), instance-adaptive (confidence, cap), "
            "agreement (confidence, window), early-stopping (window), weighted-agreement (give_up, window, "
            "per_tokens), score-distribution (target, confidence, first, window, method, prior_mu, prior_sigma, "
            "prior_spread), optimal-stopping (target, give_up, window, sharpness, per_tokens; with impatience= answers are read step by "
            "step and dropped when not worth finishing); each also takes select= and max= (most samples)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    order: Annotated[
        Order, typer.Option(help="Samples as recorded, or shuffled --repeats times.")
    ] = Order.shuffled,
    by: Annotated[By | None, typer.Option(help="Replay the samples of each seed apart.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Shuffled orders per problem.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of orders, intervals and folds.")] = 0,
    select: Annotated[
        Select | None,
        typer.Option(help="How the answer is selected; default argmax with scores, else majority."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="crossfit, raw, or a bundle file; default crossfit where possible, else raw."),
    ] = None,
    answers: Annotated[
        Answers,
        typer.Option(help="Samples agree when their answers are spelled alike, or when they mean the same."),
    ] = Answers.as_written,
) -> None:
    """Replay policies on recorded samples, beside fixed N = 1, 2, 4, 8, ..: accuracy and cost.

    Fixed rows come with the default selection and with majority voting. Nothing is generated or scored.
    """
    from adaptive_middleware.cli.replay_setup import Options, plan  # noqa: PLC0415 - `--help` stays fast

    options = Options(
        shuffled=order is Order.shuffled,
        by_seed=by is not None,
        repeats=repeats,
        seed=seed,
        select=None if select is None else select.value,
        calibration=calibration,
        canonical=answers is Answers.canonical,
    )
    specs = [parse(text) for text in policy or ()]
    try:
        with _waiting("reading and calibrating"):
            ready = plan(recording, specs, options)
    except AdaptiveError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    rows = _run(ready)
    for note in (*ready.notes, *_shortages(rows)):
        typer.echo(f"note: {note}", err=True)
    _print_json(recording, ready, rows) if as_json else _print_table(recording, ready, rows)


def _shortages(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.policy}: {row.exhausted:.0%} of calls asked for more samples than recorded"
        for row in rows
        if row.exhausted
    ]


def _run(ready: Plan) -> list[Row]:
    with _progress(len(ready.specs) * len(ready.bench.reels)) as tick:
        return [ready.bench.evaluate(spec, tick) for spec in ready.specs]


def _waiting(what: str) -> AbstractContextManager[object]:
    from rich.console import Console  # noqa: PLC0415 - `--help` stays fast

    console = Console(stderr=True)
    return console.status(what) if console.is_terminal else nullcontext()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal's stderr, once the work has taken a second; it goes away at the end."""
    from rich.console import Console  # noqa: PLC0415 - `--help` stays fast
    from rich.progress import Progress  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    begun = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("replaying", total=total, visible=False)

        def tick() -> None:
            bar.update(task, advance=1, visible=time.monotonic() - begun > 1)

        yield tick


def _print_json(recording: Path, ready: Plan, rows: Sequence[Row]) -> None:
    fields = ("policy", "accuracy", "accuracy_ci95", "samples", "generated_tokens", "prm_tokens", "repeats")
    values = [{name: value for name, value in asdict(row).items() if name in fields} for row in rows]
    typer.echo(
        json.dumps(
            {"recording": str(recording), "problems": len(ready.bench.reels), "rows": values}, indent=1
        )
    )


def _print_table(recording: Path, ready: Plan, rows: Sequence[Row]) -> None:
    from rich.console import Console  # noqa: PLC0415 - `--help` stays fast
    from rich.table import Table  # noqa: PLC0415 - as above

    repeats = max(row.repeats for row in rows)
    title = f"{recording.name}: {len(ready.bench.reels)} problems x {repeats} orders, means per problem"
    table = Table(title=title, title_justify="left", box=None)
    for name in (
        "policy",
        "selected by",
        "accuracy",
        "95 % interval",
        "samples",
        "generated tokens",
        "PRM tokens",
    ):
        table.add_column(name, justify="left" if name in ("policy", "selected by") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(highlight=False)
    console.print(table) if console.is_terminal else Console(highlight=False, width=140).print(table)


def _cells(row: Row) -> tuple[str, ...]:
    low, high = row.accuracy_ci95
    return (
        row.policy,
        row.select,
        f"{row.accuracy:.1%}",
        f"{low:.1%} - {high:.1%}",
        f"{row.samples:.2f}",
        f"{row.generated_tokens:.0f}",
        f"{row.prm_tokens:.0f}",
    )
