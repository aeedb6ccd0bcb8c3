"""`adaptive-middleware view`: a local page of the calls that are kept, as they happen, and of the budgets that they share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptive_middleware.cli.store_option import Store, place

if TYPE_CHECKING:
    from adaptive_middleware.view.spend import Budgets


def view(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any free one.")] = 8010,
    config: Annotated[
        str | None, typer.Option(help="Configuration of the service: its budgets, and its store.")
    ] = None,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON object.")] = False,
) -> None:
    """Show kept calls, what they cost and may still cost, and each one's samples and scores on a local web page, until Ctrl-C."""
    from adaptive_middleware.server.serving import listening, serve  # noqa: PLC0415 - loads uvicorn
    from adaptive_middleware.view.app import application  # noqa: PLC0415 - as above
    from adaptive_middleware.view.figures import figures  # noqa: PLC0415 - as above

    kept, budgets = _configured(config)
    file = place(store or kept)
    figures(file)  # refuses what is no store, and has the disk read before somebody waits for the page
    listener = listening("127.0.0.1", port, keyed=False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    told = json.dumps({"url": url, "store": str(file)}) if as_json else f"{file} is shown at {url}"
    serve(application(file, budgets=budgets), listener, grace=1.0, ready=lambda: typer.echo(told))


def _configured(config: str | None) -> tuple[Path | None, Budgets]:
    """The store that a configuration names, if any, and its budgets; nothing of it is loaded or built."""
    from adaptive_middleware.view.spend import UNSEEN, budgets_of  # noqa: PLC0415 - loads pydantic

    if config is None:
        return None, UNSEEN
    from adaptive_middleware.config import load  # noqa: PLC0415 - as above
    from adaptive_middleware.doctor.places import store_of  # noqa: PLC0415 - as above

    loaded = load(config)
    return store_of(loaded), budgets_of(loaded)
