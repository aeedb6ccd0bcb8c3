"""respx for clients of httpx2, OpenAI SDK 3 among them: its mocker, one HTTP library further.

    with respx.mock(using=Httpx2Mocker.name) as router:
        router.post("http://fake.local/v1/chat/completions").respond(json=...)

respx itself knows httpx alone: a request of httpx2 goes past it, into the network.
"""

from __future__ import annotations

from typing import ClassVar

from respx.mocks import HTTPCoreMocker

__all__ = ["Httpx2Mocker"]


class Httpx2Mocker(HTTPCoreMocker):
    """Answers what httpx2 would send, synchronous or not; known to respx by its `name` once this module is imported."""

    name = "httpx2"
    targets: ClassVar[list[str]] = [
        target.replace("httpcore.", "httpcore2.") for target in HTTPCoreMocker.targets
    ]
