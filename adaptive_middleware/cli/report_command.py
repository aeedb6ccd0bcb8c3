"""`adaptive-middleware report`: pages for people, drawn from kept calls, a calibration or a leaderboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptive_middleware.cli.search_options import Rule, Since, Until, search
from adaptive_middleware.cli.store_option import Json, Store, place
from adaptive_middleware.errors import AdaptiveError

if TYPE_CHECKING:
    from adaptive_middleware.calibration.bundle import Bundle

app = typer.Typer(no_args_is_help=True, help="Draw a page for people: charts, tables, no network.")

Out = Annotated[Path, typer.Option(help="Folder for report.html and pictures/.")]


@app.callback(invoke_without_command=True)
def calls(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page of kept calls to write, such as out.html.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Calls",
    since: Since = None,
    until: Until = None,
    rule: Rule = None,
    most: Annotated[
        int, typer.Option("--most", "-n", min=1, help="Most calls; the latest are taken.")
    ] = 2000,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Draw a page for people, without script or network: of kept calls (-o FILE), or of what a command names."""
    if context.invoked_subcommand is not None:
        if out is not None:
            message = (
                "the page of kept calls is drawn without a command; write --out after the command's name"
            )
            raise typer.BadParameter(message, param_hint="--out")
        return
    if out is None:
        message = "name the page to write: report -o out.html"
        raise typer.BadParameter(message, param_hint="--out")
    from adaptive_middleware.pictures import calls_report  # noqa: PLC0415 - loads matplotlib
    from adaptive_middleware.trace.reading import found  # noqa: PLC0415 - `--help` stays fast

    wanted = search(None, None, rule, None, since, until, degraded=False)
    kept = list(found(place(store), wanted, most))
    size = calls_report(out, title=title, calls=kept)
    if as_json:
        typer.echo(json.dumps({"file": str(out), "calls": len(kept), "bytes": size}))
    else:
        typer.echo(f"wrote {out}: {len(kept):,} calls, {size / 1000:,.0f} kB")


@app.command()
def calibration(
    bundle: Annotated[Path, typer.Argument(help="A calibration bundle (.json).")],
    held_out: Annotated[
        Path, typer.Argument(help="Scored paths with success counts (.jsonl, .jsonl.gz), not fitted on.")
    ],
    out: Out = Path("report"),
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Calibration",
) -> None:
    """Show how honest a bundle's probabilities are on held-out problems."""
    from adaptive_middleware.calibration.bundle import load  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.calibration.examples import read  # noqa: PLC0415 - as above
    from adaptive_middleware.pictures import calibration_report  # noqa: PLC0415 - loads matplotlib

    found, examples = load(bundle), read(held_out)
    page = calibration_report(
        out, title=title, facts=_facts(found, held_out), calibration=found.calibration, held_out=examples
    )
    typer.echo(f"wrote {page} and {page.parent / 'pictures'}")


@app.command()
def leaderboard(
    rows: Annotated[Path, typer.Argument(help="A leaderboard.json of `make bench-allocation`.")],
    out: Out = Path("report"),
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Leaderboard",
) -> None:
    """Show what every policy achieved on every recording, what it cost, and what it saved."""
    found = _rows(rows)
    from adaptive_middleware.pictures import leaderboard_report  # noqa: PLC0415 - loads matplotlib

    page = leaderboard_report(out, title=title, rows=found)
    typer.echo(f"wrote {page} and {page.parent / 'pictures'}")


def _facts(bundle: Bundle, held_out: Path) -> list[tuple[str, str]]:
    sizes = [(name, bundle.metrics.get(f"fit.{name}")) for name in ("problems", "paths")]
    fitted = ", ".join(f"{value:,.0f} {name}" for name, value in sizes if value is not None)
    return [
        ("Process reward model", bundle.prm),
        ("Generator", bundle.generator),
        *([("Fitted on", fitted)] if fitted else []),
        ("Fitted data, SHA-256", bundle.data_sha256),
        ("Held out", held_out.name),
    ]


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file} is not readable JSON ({error}); write it with `make bench-allocation`"
        raise AdaptiveError(message) from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        message = f"{file} is JSON, but not a list of rows; write it with `make bench-allocation`"
        raise AdaptiveError(message)
    return found
