"""What tells the weights of a model from others."""

from __future__ import annotations

import hashlib
from pathlib import Path as File

_EDGE = 65_536


def weights_of(folder: File) -> str | None:
    """A digest of the names, sizes, beginnings and ends of a folder's weight files; None where there are none.

    It takes milliseconds for any size, and tells a model that was trained on from what it was before.
    """
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as raw:
            head = raw.read(_EDGE)
            raw.seek(max(size - _EDGE, 0))
            digest.update(f"{file.name}:{size}:".encode() + head + raw.read())
    return digest.hexdigest()[:16] if files else None
