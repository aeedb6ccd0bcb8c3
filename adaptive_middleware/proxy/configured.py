"""The upstream that a configuration names, with its key from the environment."""

from __future__ import annotations

import os

from adaptive_middleware.config import Config
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.proxy.upstream import Upstream


def upstream_of(config: Config, *, keyed: bool) -> Upstream:
    """The upstream; raises `ConfigError` where none is configured or its key is not set.

    `keyed` says whether the proxy asks its own clients for a key.
    """
    written = config.settings.upstream
    if written is None:
        message = "there is no upstream to stand before: add `upstream: {base_url: http://host:port/v1}`"
        raise ConfigError(message, file=config.document.file)
    key = None
    if written.key_env is not None and not (key := os.environ.get(written.key_env, "").strip()):
        message = f"the environment variable {written.key_env} is not set: put the upstream's key there"
        raise config.refused(("upstream", "key_env"), message)
    return Upstream.of(written, key, keyed=keyed)
