"""The proxy beside its-hub's gateway: the same calls, the same fake provider, alternating in one run; prints JSON.

Run as `python -m bench.peers` in an environment that has `its-hub[iaas]`:

    python -m venv .peers && .peers/bin/pip install -c constraints.txt -e '.[http,server]' 'its-hub[iaas]'
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import httpx2

from bench.loopback import proxy_process, upstream_process
from bench.overhead import Case, medians
from bench.posting import INSTANT, POLICIES, post

ASK_FOR = "its-hub is not installed here; run: pip install -c constraints.txt 'its-hub[iaas]'"


@contextmanager
def gateway_process() -> Iterator[str]:
    """The base URL of an `its-iaas` gateway that says no more than warnings."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "its_hub.integration.iaas.app_server", "--host", "127.0.0.1"]
    options = ["--port", str(port), "--log-level", "warning"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, *options], stdout=quiet, stderr=quiet) as process:  # noqa: S603
        try:
            _listening(port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _listening(port: int, seconds: float = 30.0) -> None:
    """Wait until somebody listens there."""
    ends = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return


async def gateways(repeats: int = 40) -> dict[str, float]:
    """Milliseconds of a call with one and with eight answers, direct and by either gateway."""
    with upstream_process() as url, proxy_process(url, POLICIES) as ours, gateway_process() as theirs:
        async with httpx2.AsyncClient(timeout=60) as http:
            cases: dict[str, Case] = {"unused": post(http, url, INSTANT), "direct": post(http, url, INSTANT)}
            for name, n in (("one", 1), ("eight", 8)):
                asked = {"x-its-budget": str(n), "x-its-endpoint": url, "x-its-api-key": "none"}
                cases[f"ours_{name}"] = post(http, ours, f"{INSTANT}@{name}")
                cases[f"its_hub_{name}"] = post(http, theirs, INSTANT, asked)
            took = await medians(cases, repeats)
    return {f"{name}_ms": value / 1000 for name, value in took.items() if name != "unused"}


if __name__ == "__main__":
    if find_spec("its_hub") is None:
        sys.exit(ASK_FOR)
    figures = {name: round(value, 2) for name, value in asyncio.run(gateways()).items()}
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
