# ruff: noqa: ARG001 - the options are read from the context, all at once
"""`adaptive-middleware calibrate`: from prompts and a way to check answers to a calibration bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from adaptive_middleware.cli.calibrate_given import given


def calibrate(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    context: typer.Context,
    prompts: Annotated[
        Path, typer.Option(help="JSONL of prompts (id, question, answer | tests), or a recording.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for journal, examples, bundle and report.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML or TOML with the settings; options go before it.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="lab | model folder or hub name | http(s)://host/v1 | package.module:factory."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of an http(s) sampler.")] = None,
    prm: Annotated[
        str | None, typer.Option(help="lab | model folder or hub name | package.module:factory.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(help="exact (default) | unit-tests | package.module:function.")
    ] = None,
    answers: Annotated[int | None, typer.Option(help="Answers of each prompt (default 4).")] = None,
    prefixes: Annotated[int | None, typer.Option(help="Cuts of each answer, at most (default 2).")] = None,
    rollouts: Annotated[
        int | None, typer.Option(help="Continuations of each cut and question (default 8).")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the sampler (default 1.0).")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens of an answer; cut ones are wrong.")
    ] = None,
    prefill: Annotated[
        bool, typer.Option("--prefill", help="The endpoint continues assistant messages (vLLM, SGLang).")
    ] = False,
    held_out: Annotated[float | None, typer.Option(help="Share of problems held out (default 0.3).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of draws, cuts and split (default 0).")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Problems at once (default 8).")] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Most tokens that the sampler may read and write.")
    ] = None,
    max_errors: Annotated[
        int | None, typer.Option(help="Failures in a row that end the run (default 10).")
    ] = None,
    method: Annotated[str | None, typer.Option(help="post-hoc (default).")] = None,
    generator_id: Annotated[str | None, typer.Option(help="The sampled model's id in the bundle.")] = None,
    prm_id: Annotated[
        str | None, typer.Option(help="The PRM's id in the bundle; needed for recorded scores.")
    ] = None,
    allow_code_execution: Annotated[
        bool,
        typer.Option(
            "--allow-code-execution", help="Run code of answers for unit-tests even where no sandbox works."
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the collection in --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the cost and start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Draw answers, roll out their prefixes, score, fit, and evaluate on held-out problems.

    Killed or stopped at any point, it goes on with --resume: nothing is lost or done twice (docs/calibrate.md).
    """
    from adaptive_middleware.cli.calibrate_run import Run, cost, run  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.cli.calibrate_shown import show_cost, show_result  # noqa: PLC0415 - as above

    sys.path.insert(0, str(Path.cwd()))  # your own parts, as `python -m` would find them
    ordered = Run(prompts, out, config, given(context.params), resume=resume, allow_code=allow_code_execution)
    if dry_run:
        reckoned = cost(ordered)
        typer.echo(json.dumps(reckoned.row())) if as_json else show_cost(reckoned)
        return
    try:
        result = run(ordered)
    except KeyboardInterrupt as error:
        typer.echo("stopped; what was finished is kept: go on with --resume", err=True)
        raise typer.Exit(130) from error
    typer.echo(json.dumps(result.report)) if as_json else show_result(result, out)
