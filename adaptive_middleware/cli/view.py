"""`adaptive-middleware view`: a local page of the calls that are kept, as they happen."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adaptive_middleware.cli.store_option import Store, place


def view(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any free one.")] = 8010,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON object.")] = False,
) -> None:
    """Show kept calls, what they cost, and each one's samples and scores on a local web page, until Ctrl-C."""
    from adaptive_middleware.server.serving import listening, serve  # noqa: PLC0415 - loads uvicorn
    from adaptive_middleware.trace.schema import open_to_read  # noqa: PLC0415 - as above
    from adaptive_middleware.view.app import application  # noqa: PLC0415 - as above

    file = place(store)
    open_to_read(file).close()
    listener = listening("127.0.0.1", port, keyed=False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    told = json.dumps({"url": url, "store": str(file)}) if as_json else f"{file} is shown at {url}"
    serve(application(file), listener, grace=1.0, ready=lambda: typer.echo(told))
