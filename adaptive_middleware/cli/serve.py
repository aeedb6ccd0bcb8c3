"""`adaptive-middleware serve`: a proxy before an OpenAI-compatible endpoint, for clients in any language."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adaptive_middleware.cli.key_env import key_in


def serve(  # noqa: PLR0913, PLR0917 - options of a command
    config: Annotated[str, typer.Option(help="Configuration with an `upstream` and policies.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need a key.")
    ] = "127.0.0.1",
    key_env: Annotated[
        str | None, typer.Option(help="Name of the environment variable that holds the key of clients.")
    ] = None,
    max_body_mib: Annotated[int, typer.Option(min=1, max=1024, help="Largest request, in MiB.")] = 32,
    grace: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds for open requests after SIGTERM.")
    ] = 10.0,
    reload: Annotated[
        bool, typer.Option("--reload", help="Take changes of the configuration file on while serving.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON object.")] = False,
) -> None:
    """Serve POST /v1/chat/completions by policy, GET /health and /metrics; pass all else on, until SIGTERM or Ctrl-C."""
    key = key_in(key_env)
    from adaptive_middleware.config import load  # noqa: PLC0415 - loads pydantic
    from adaptive_middleware.proxy.app import Limits, application  # noqa: PLC0415 - loads starlette
    from adaptive_middleware.proxy.configured import upstream_of  # noqa: PLC0415 - loads httpx2
    from adaptive_middleware.server.serving import listening  # noqa: PLC0415 - loads uvicorn
    from adaptive_middleware.server.serving import serve as served  # noqa: PLC0415

    read = load(config)
    upstream = upstream_of(read, keyed=key is not None)
    listener = listening(host, port, keyed=key is not None)
    limits, follow = Limits(max_body_mib << 20), config if reload else None
    app = application(read.build(), upstream, key=key, limits=limits, follow=follow)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    line = f"{upstream.base_url} behind {url}/v1"
    told = json.dumps({"url": url, "upstream": upstream.base_url}) if as_json else line
    served(app, listener, grace=grace, ready=lambda: typer.echo(told))
