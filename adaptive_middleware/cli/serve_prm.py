"""`adaptive-middleware serve-prm`: a process reward model behind vLLM's `/pooling`, for clients of one or more machines."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adaptive_middleware.cli.key_env import key_in


def serve_prm(  # noqa: PLR0913, PLR0917 - options of a command
    config: Annotated[str, typer.Option(help="Configuration whose `prm` (transformers or lab) is served.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need a key.")
    ] = "127.0.0.1",
    key_env: Annotated[
        str | None, typer.Option(help="Name of the environment variable that holds the key of clients.")
    ] = None,
    max_queued: Annotated[
        int, typer.Option(min=1, help="Most prompts accepted and not yet answered; more get a 503.")
    ] = 1024,
    grace: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds for open requests after SIGTERM.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON object.")] = False,
) -> None:
    """Serve POST /pooling, GET /health, /metrics and /v1/models until SIGTERM or Ctrl-C."""
    key = key_in(key_env)
    from adaptive_middleware.server.serving import listening, serve  # noqa: PLC0415 - loads uvicorn

    listener = listening(
        host, port, keyed=key is not None
    )  # first: a wrong address shall not wait for a model
    from adaptive_middleware.config import load  # noqa: PLC0415 - loads pydantic
    from adaptive_middleware.server.app import Limits, application  # noqa: PLC0415 - loads torch
    from adaptive_middleware.server.model import opened  # noqa: PLC0415 - loads torch

    served, engine = opened(load(config))
    app = application(served, engine, key=key, limits=Limits(rows=max_queued))
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    line = json.dumps({"url": url, "model": served.name}) if as_json else f"{served.name} listens on {url}"
    serve(app, listener, grace=grace, ready=lambda: typer.echo(line))
