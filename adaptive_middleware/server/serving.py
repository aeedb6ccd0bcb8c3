"""A server on a socket: bounded headers, a bounded wait for them, and a bounded farewell."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from adaptive_middleware.errors import ConfigError

_HEADER_BYTES, _CONNECTIONS, _HEADER_SECONDS = 16384, 1024, 10.0


class BoundedH11(H11Protocol):
    """uvicorn's protocol, which waits for ever for the rest of a header: here the connection is closed."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a header; a request that is being answered may take its time."""
        super().data_received(data)
        if self._answering():
            self._stop()
        elif self._late is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def listening(host: str, port: int, *, keyed: bool) -> socket.socket:
    """A listening socket; raises `ConfigError` for an address that cannot be had, or a public one without a key."""
    if not keyed and not _is_loopback(host):
        message = f"{host} can be reached from other machines: set a key (--key-env NAME), or use 127.0.0.1"
        raise ConfigError(message)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        message = f"cannot listen on {host}:{port} ({error.strerror}): choose another port or host"
        raise ConfigError(message) from error
    without_delay(listener)
    return listener


def without_delay(listener: socket.socket) -> None:
    """Send what is written at once. asyncio does so by itself, but not for sockets that do not name TCP as protocol."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts inherits this


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`.

    >>> _is_loopback("localhost"), _is_loopback("127.0.0.2"), _is_loopback("0.0.0.0"), _is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server(uvicorn.Server):
    """Uvicorn, which a second order to stop ends at once, whichever signal it is."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; the second time without waiting for what was begun."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)


def configured(app: ASGIApp, grace: float) -> Server:
    """Uvicorn with our limits; `grace` is how many seconds requests may take after the order to stop."""
    return Server(
        uvicorn.Config(
            app,
            http=BoundedH11,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_HEADER_BYTES,
            timeout_graceful_shutdown=max(round(grace), 1),
        )
    )


def serve(app: ASGIApp, listener: socket.socket, *, grace: float, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what was begun within `grace` seconds; a second order ends at once."""
    server = configured(app, grace)
    kept = {number: signal.signal(number, _ended) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        server.run([listener])
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _ended(*_: object) -> None:
    """Nothing: uvicorn raises the signal again after a clean end, which shall be a success."""
