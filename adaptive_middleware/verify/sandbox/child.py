"""A started sandbox seen from outside: frames go in and out, limits are kept, and how it ended is known.

Whatever the process writes, this side keeps at most `Limits.output_bytes` of it, opens no file of it, and reads nothing
but the length and first letter of a frame.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from typing import IO

from adaptive_middleware.verify.sandbox.limits import Ended, Ending, Limits
from adaptive_middleware.verify.sandbox.memory import end_descendants, named, processes, resident_bytes

_LOOK = 0.05
_CHUNK = 2**16
_SHOWN = 4096
_LAST_MOMENT = 0.5
_RUNNING = Ended("ended")


class Child:
    """The `Session` of a process that a tier has started with three pipes and in a session of its own.

    `processes` is how many it may become, itself included; 0 where the sandbox itself keeps that limit. `first` is a file
    that will name the first process of the sandbox, where it is another one.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        boot: bytes,
        processes: int = 0,
        first: str = "",
    ) -> None:
        self._process, self._limits, self._started = process, limits, time.monotonic()
        self._most, self._first = processes, first
        self._ready, self._unsent, self._end = False, bytearray(boot), _RUNNING
        self._answers, self._printed, self._written = bytearray(), b"", 0
        self._look_at = self._started + _LOOK
        self._input, self._output, self._errors = (
            _unblocked(stream) for stream in (process.stdin, process.stdout, process.stderr)
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)
        self._send()

    def send(self, request: bytes) -> None:
        """See `Session`."""
        self._written = 0
        self._unsent += len(request).to_bytes(4, "big") + request
        self._send()

    def receive(self, seconds: float) -> bytes | Ended:
        """See `Session`."""
        until = time.monotonic() + seconds
        frame = self._frame(until) if self._greeted(until) else None
        return self._end if frame is None else frame

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """See `Session`."""
        self.send(request)
        return self.receive(seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:
        """The end of a guest that `request` makes a program; `printed` is all that it wrote to its output."""
        until = time.monotonic() + seconds
        self.send(request)
        if self._greeted(until):
            while self._end is _RUNNING:
                self._turn(until)
        detail = f"{self._end.detail} {self._said()}".strip()
        return replace(self._end, detail=detail, printed=bytes(self._answers))

    def alive(self) -> bool:
        """See `Session`; bubblewrap, for one, ends with the thread that started it."""
        return self._end is _RUNNING and self._process.poll() is None

    def close(self) -> None:
        """Kill the process group; a sandbox dies with its first process."""
        self._kill()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _greeted(self, until: float) -> bool:
        """Whether the guest has said that it is ready: what ends before is no fault of the code."""
        if not self._ready:
            self._ready = self._frame(until) is not None
            if not self._ready and self._end.how != "broken":
                detail = f"{self._end.detail} {self._said()}".strip()
                self._end = Ended("broken", self._end.status, detail)
        return self._ready

    def _frame(self, until: float) -> bytes | None:
        while self._end is _RUNNING or len(self._answers) > 4:
            size = int.from_bytes(self._answers[:4], "big")
            if len(self._answers) >= 4 and not 0 < size <= self._limits.output_bytes:
                self._stop("output_limit", f"an answer of {size} bytes")
                break
            if len(self._answers) >= 4 + max(size, 1):
                frame = bytes(self._answers[4 : 4 + size])
                del self._answers[: 4 + size]
                return frame
            if self._end is _RUNNING:
                self._turn(until)
            else:
                break
        return None

    def _turn(self, until: float) -> None:
        """Wait a moment for something to read or to write, and stop what has gone too far."""
        left = until - time.monotonic()
        if left <= 0:
            self._stop("timeout", "no answer in time")
            return
        events = self._selector.select(min(left, _LOOK))
        for key, _ in events:
            if key.fd == self._input:
                self._send()
            else:
                self._read(key.fd)
        if time.monotonic() >= self._look_at:
            self._look()

    def _look(self) -> None:
        self._look_at = time.monotonic() + _LOOK
        first = named(self._first) or self._process.pid
        if resident_bytes(first) > self._limits.memory_mb * 2**20:
            self._stop("memory", f"more than {self._limits.memory_mb} MB together")
        elif self._most and processes(first) > self._most:
            self._stop("crashed", f"more than {self._limits.processes} processes")

    def _read(self, stream: int) -> None:
        data = os.read(stream, _CHUNK)
        if not data:
            self._selector.unregister(stream)
            if stream == self._output:
                self._exited()
        elif stream == self._output:
            self._answers += data
        else:
            self._printed = (self._printed + data)[-_SHOWN:]
        self._written += len(data)
        if self._written > self._limits.output_bytes:
            self._stop("output_limit", f"more than {self._limits.output_bytes} bytes written")

    def _send(self) -> None:
        """Write what the pipe takes, and wait for room where it does not take all."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._input, self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent.clear()
        waiting = self._input in self._selector.get_map()
        if self._unsent and not waiting:
            self._selector.register(self._input, selectors.EVENT_WRITE)
        elif waiting and not self._unsent:
            self._selector.unregister(self._input)

    def _exited(self) -> None:
        """No more answers can come: the process has ended, or only pretends to go on."""
        try:
            status = _status(self._process.wait(_LAST_MOMENT))
        except subprocess.TimeoutExpired:
            self._stop("ended", "it closed its output")
            return
        number = -status
        if number == signal.SIGXCPU or (number == signal.SIGKILL and self._cpu_spent()):
            self._stop("timeout", f"more than {self._limits.seconds:g} s of CPU time")
        elif number > 0:
            self._stop("crashed", f"ended by {_signal(number)}")
        else:
            self._stop("ended", f"exit status {status}")

    def _cpu_spent(self) -> bool:
        """Whether there was time to spend the CPU seconds, and one more that is given before the kill."""
        return time.monotonic() - self._started >= self._limits.seconds

    def _stop(self, how: Ending, detail: str) -> None:
        if self._end is _RUNNING:
            self._drain()
            self._kill()
            self._end = Ended(how, _status(self._process.returncode), detail, self._printed)

    def _drain(self) -> None:
        """What is left in the error pipe, at most once more what is kept."""
        with suppress(BlockingIOError):
            self._printed = (self._printed + os.read(self._errors, _SHOWN))[-_SHOWN:]

    def _kill(self) -> None:
        if self._end is _RUNNING:
            other = named(self._first) if self._process.poll() is None else 0
            end_descendants(self._process.pid)
            if other:
                end_descendants(other)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(other, signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _said(self) -> str:
        return " ".join(self._printed.decode(errors="replace").split())[-400:]


def _unblocked(stream: IO[bytes] | None) -> int:
    """The file descriptor of a pipe, for reads and writes that do not wait."""
    assert stream is not None  # noqa: S101 - the tier asked for pipes
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _status(code: int) -> int:
    """A return code with signals below 0: bwrap says 128 and more where its child was the one that was ended by one."""
    return 128 - code if code > 128 else code
