"""Names of calls: they sort by time, and no two are the same."""

from __future__ import annotations

import os
import time


def call_id() -> str:
    """A new UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, then 74 random bits.

    >>> from uuid import UUID
    >>> UUID(call_id()).version, len(call_id())
    (7, 36)
    """
    return call_id_at(time.time_ns(), os.urandom(10))


def call_id_at(nanoseconds: int, noise: bytes) -> str:
    """The UUID of version 7 of a moment (since 1970, UTC) and ten random bytes.

    >>> call_id_at(1_645_557_742_000_000_000, bytes.fromhex("0cc318c4dc0c0c07398f"))
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'
    """
    milliseconds = (nanoseconds // 1_000_000) & (1 << 48) - 1
    number = milliseconds << 80 | int.from_bytes(noise, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
