"""`adaptive-middleware solve`: a file of programming tasks, answered by a model under a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def solve(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    tasks: Annotated[
        Path, typer.Argument(help="JSONL of tasks: HumanEval's or MBPP's form, or id, question, tests.")
    ],
    config: Annotated[Path, typer.Option(help="Configuration with an `upstream` and policies.")],
    out: Annotated[Path, typer.Option(help="Folder for the journal, samples.jsonl and report.json.")],
    model: Annotated[str, typer.Option(help="Model to ask, by its name at the upstream.")],
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Of the sampling.")] = 0.8,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="Of the sampling.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 512,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first tasks of the file.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Tasks at once.")] = 4,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest run of one answer's tests.")] = 10.0,
    runs: Annotated[
        int, typer.Option(min=1, help="How often an answer must pass: 3 finds most that vary.")
    ] = 1,
    tier: Annotated[
        str, typer.Option("--sandbox", help="auto | bwrap | sandlock | gvisor | container | monty | none.")
    ] = "auto",
    unsafe_no_sandbox: Annotated[
        bool,
        typer.Option(
            "--unsafe-no-sandbox", help="With --sandbox none: run code of answers with limits only."
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Answer every task, check the answers against its tests, and say what was solved and what it cost.

    Killed or stopped at any point, it goes on with --resume: nothing that is finished is asked again (docs/code.md).
    """
    from adaptive_middleware.cli.solve_run import Ordered, run  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.cli.solve_shown import show  # noqa: PLC0415 - as above

    settings = {"model": model, "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    ordered = Ordered(
        tasks,
        config,
        out,
        settings,
        limit,
        concurrency,
        seconds,
        tier=tier,
        no_sandbox=unsafe_no_sandbox,
        resume=resume,
        runs=runs,
    )
    report = run(ordered)
    if as_json:
        typer.echo(json.dumps(report, allow_nan=False))
    else:
        show(report, out)
    if report["failed"]:
        raise typer.Exit(1)
