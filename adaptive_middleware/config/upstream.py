"""The OpenAI-compatible endpoint that the proxy stands before."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptive_middleware.config.fields import Model, Seconds

Address = Annotated[str, Field(pattern=r"^https?://[^\s/?#@\\]+(/[^\s?#\\]*)?$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Upstream(Model):
    """Where the proxy (`adaptive-middleware serve`) sends requests; only the configuration can say that."""

    base_url: Address = Field(
        description="Address of the endpoint, up to and with its version: 'https://api.openai.com/v1'."
    )
    key_env: Variable | None = Field(
        None, description="Environment variable with the endpoint's key; absent: the client's own is sent on."
    )
    timeout: Seconds = Field(
        600.0, description="Longest wait for a byte of an answer, in seconds; to connect, 10 at most."
    )
    use_n: bool = Field(
        False,
        description="Ask for several samples in one request by 'n', so that the prompt is paid for once; chat completions only.",
    )
