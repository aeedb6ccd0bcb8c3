"""The servers that a configuration names: whether they answer from here, and take the key."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from adaptive_middleware.config import Config
from adaptive_middleware.config.prms import PoolingPrm
from adaptive_middleware.doctor.extras import model_of
from adaptive_middleware.doctor.finding import Finding, fail, ok, warn
from adaptive_middleware.doctor.machine import clock_beside

if TYPE_CHECKING:
    from httpx2 import Response

_SECONDS = 5.0


def servers(config: Config) -> Iterator[Finding]:
    """The upstream and every server of the process reward model, each asked once; nothing is generated."""
    settings = config.settings
    if settings.upstream is not None:
        url = f"{settings.upstream.base_url.rstrip('/')}/models"
        yield from upstream(url, _key(settings.upstream.key_env))
    prm = model_of(config)
    if isinstance(prm, PoolingPrm):
        for url in prm.urls:
            yield pooling(f"{url.rstrip('/')}/health", _key(prm.key_env))


def upstream(url: str, key: str) -> Iterator[Finding]:
    """Whether an OpenAI-compatible endpoint lists its models at `url`, and how far its clock is from ours."""
    name = "upstream"
    reply = _asked(url, key)
    if isinstance(reply, str):
        yield fail(name, f"{url}: {reply}", "start it, or correct upstream.base_url")
        return
    yield _listed(name, url, reply, key)
    if "date" in reply.headers:
        try:
            theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
        except ValueError:
            return
        yield clock_beside(time.time(), theirs, "the upstream")


def _listed(name: str, url: str, reply: Response, key: str) -> Finding:
    status = reply.status_code
    if status in {401, 403} and not key:
        return ok(name, f"{url} wants a key: that of the clients is sent on")
    if status in {401, 403}:
        return fail(name, f"{url} refuses the key ({status})", "put a valid key where upstream.key_env says")
    if status == 404:
        fix = "look whether base_url ends with the API's version, such as /v1"
        return warn(name, f"{url} is not there (404), but the server answers", fix)
    if status != 200:
        return warn(name, f"{url} answers with status {status}", "look at the endpoint's own log")
    return ok(name, f"{url} answers in {reply.elapsed.total_seconds() * 1000:.0f} ms")


def pooling(url: str, key: str) -> Finding:
    """Whether a server of the process reward model says at `url` that it is well."""
    reply = _asked(url, key)
    if isinstance(reply, str):
        return fail(
            "prm server", f"{url}: {reply}", "start it: adaptive-middleware serve-prm, or correct prm.urls"
        )
    if reply.status_code != 200:
        what = f"{url} answers with status {reply.status_code}"
        return warn("prm server", what, "look at the server's own log")
    return ok("prm server", f"{url} answers in {reply.elapsed.total_seconds() * 1000:.0f} ms")


def _asked(url: str, key: str) -> Response | str:
    """The reply, or why there is none."""
    try:
        import httpx2  # noqa: PLC0415 - an extra, which `extras` asks for
    except ModuleNotFoundError:
        return "cannot be asked without httpx2"
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx2.get(url, headers=headers, timeout=_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _key(variable: str | None) -> str:
    return "" if variable is None else os.environ.get(variable, "").strip()
