"""Files that hold either what they held before, or all that was to be written."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path as File


def replace_file(file: File, content: bytes) -> None:
    """Write `content` so that `file` holds either what it held, or all of it; raises `OSError` when it cannot."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as partial:
            partial.write(content)
            partial.flush()
            os.fsync(partial.fileno())
        File(name).chmod(0o644)
        File(name).replace(file)
    except BaseException:
        with suppress(FileNotFoundError):
            File(name).unlink()
        raise
