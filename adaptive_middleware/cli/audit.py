"""`adaptive-middleware audit`: whether a calibration still holds on recorded outcomes, and what would be better."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from adaptive_middleware.errors import AdaptiveError


def audit(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    source: Annotated[
        Path, typer.Argument(help="A recording (docs/recordings.md) or a store of calls (docs/audit.md).")
    ],
    calibration: Annotated[
        str, typer.Option(help="A bundle file, `lab`, or `raw`: scores taken at their word.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    prm: Annotated[str | None, typer.Option(help="Refuse a bundle of another process reward model.")] = None,
    generator: Annotated[str | None, typer.Option(help="Refuse a bundle of another sampled model.")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="The policy in use, as in `bench replay`; default: optimal-stopping."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=0.5, help="The largest error of probabilities that still holds.")
    ] = 0.03,
    repeats: Annotated[int, typer.Option(min=1, help="Shuffled orders per problem in replays.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of intervals, folds and orders.")] = 0,
    write: Annotated[
        Path | None, typer.Option(help="Write the bundle that is fitted anew to this recording.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --write replace a file.")] = False,
) -> None:
    """Say whether a calibration still holds on recorded outcomes, and which policy would be better.

    Nothing is generated or scored. Exit status 0 says that the audit was made, not that all is well.
    """
    from adaptive_middleware.audit.result import plain  # noqa: PLC0415 - `--help` stays fast
    from adaptive_middleware.cli.audit_page import show  # noqa: PLC0415 - as above
    from adaptive_middleware.cli.audit_work import Asked, make  # noqa: PLC0415 - as above

    asked = Asked(source, calibration, prm, generator, policy, tolerance, repeats, seed, write, force)
    try:
        with _waiting() as tick:
            made = make(asked, tick)
    except AdaptiveError as error:
        _fail(error)
    if as_json:
        written = None if made.written is None else str(made.written)
        typer.echo(json.dumps(plain(made.audit) | {"written": written}, allow_nan=False))
    else:
        show(asked, made)
    if made.failure is not None:
        _fail(made.failure)


@contextmanager
def _waiting() -> Iterator[Callable[[str], None]]:
    """What is being done, on a terminal's stderr."""
    from rich.console import Console  # noqa: PLC0415 - `--help` stays fast

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("reading") as status:
        yield status.update


def _fail(error: AdaptiveError) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1) from error
