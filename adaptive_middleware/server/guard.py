"""Who may ask: a key, or without one only callers that address this machine by a loopback name."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adaptive_middleware.server.requests import Refused

_OPEN = ("/health",)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets requests with the right bearer key through to `app`; `/health` needs none.

    Without a key, a Host that is not of this machine is refused, since a web page could have pointed its name here, and
    so is an Origin, which only web pages send.
    """

    app: ASGIApp
    key: bytes | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass on."""
        refused = self._refused(scope) if scope["type"] == "http" else None
        if refused is None:
            await self.app(scope, receive, send)
            return
        headers = {"www-authenticate": "Bearer"} if refused.status == 401 else None
        await JSONResponse(refused.body, refused.status, headers)(scope, receive, send)

    def _refused(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        if self.key is None:
            name, _, port = headers.get("host", "").rpartition(":")
            host = name if port.isdigit() else headers.get("host", "")
            if host in _LOOPBACK and "origin" not in headers:
                return None
            return Refused(
                403, "this server has no key and answers only programs that ask for localhost: set Host"
            )
        if scope["path"] in _OPEN:
            return None
        given = headers.getlist("authorization")
        words = given[0].split(" ", 1) if len(given) == 1 else []
        right = len(words) == 2 and words[0].lower() == "bearer"
        if right and hmac.compare_digest(digest(words[1].strip()), self.key):
            return None
        return Refused(401, "the key is missing or wrong: send `Authorization: Bearer KEY`")
