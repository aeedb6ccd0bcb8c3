"""`adaptive-middleware finetune`: teach a process reward model to predict quantiles of success."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from adaptive_middleware.finetuning.figures import Figures


def finetune(  # noqa: PLR0913 - one per option
    examples: Annotated[Path, typer.Argument(help="Scored paths with success counts (JSONL, or .jsonl.gz).")],
    *,
    questions: Annotated[
        list[Path],
        typer.Option(help="JSONL with `id` and `question`: prompts or a recording; may be repeated."),
    ],
    model: Annotated[str, typer.Option(help="Process reward model: a folder, a hub name, or `lab`.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")],
    generator: Annotated[str, typer.Option(help="Id of the model whose answers these are.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Paths of other problems, in the same format, to measure on.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="park-2025 or monotone.")] = "monotone",
    family: Annotated[str | None, typer.Option(help="Family of the model, where it must be named.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16, of the trunk.")] = "float32",
    max_length: Annotated[int, typer.Option(min=16, help="Longest row in tokens.")] = 2048,
    batch_tokens: Annotated[int, typer.Option(min=16, help="Most padded tokens computed at once.")] = 1024,
    seed: Annotated[int, typer.Option(help="Split, order and dropout.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Fine-tune MODEL on EXAMPLES; write adapter, head and manifest, and say how good they are."""
    from adaptive_middleware.cli.finetune_run import Options, run  # noqa: PLC0415 - loads torch

    options = Options(
        model, generator, recipe, examples, tuple(questions), out, held_out=held_out, family=family, device=device,
        dtype=dtype, max_length=max_length, batch_tokens=batch_tokens, seed=seed,
    )  # fmt: skip
    written, found = run(options, _note)
    if as_json:
        typer.echo(
            json.dumps({"out": str(out), **written, "held_out": {k: asdict(one) for k, one in found.items()}})
        )
        return
    for line in _page(out, written, found):
        typer.echo(line)


def _note(text: str) -> None:
    typer.echo(text, err=True)


def _page(out: Path, written: dict[str, Any], found: dict[str, Figures]) -> list[str]:
    made = f"{out}: {written['recipe']} for {written['prm']}"
    lines = [f"{made}, learned from {written['problems']} problems in {written['seconds']:.0f} s"]
    if not found:
        return [*lines, "Not measured: give paths of other problems with --held-out."]
    lines.append(
        f"{'held-out paths':<16}{'problems':>9}{'paths':>7}{'ECE':>8}{'Brier':>8}{'10 % bound covers':>20}{'crossing':>10}"
    )
    for kind, one in found.items():
        covers = f"{one.coverage:.1%} ± {one.coverage_error:.1%}"
        lines.append(
            f"{kind:<16}{one.problems:>9}{one.paths:>7}{one.ece:>8.3f}{one.brier:>8.4f}{covers:>20}{one.crossing:>10.1%}"
        )
    return lines
