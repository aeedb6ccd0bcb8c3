"""What came of a call: whether its answer was right, written beside it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path as File

from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace.reading import found_id
from adaptive_middleware.trace.schema import open_to_read, open_to_write


def judge(file: File, call_id: str, *, correct: bool | None) -> str:
    """Write down whether the answer of a call was right (None: not known any more), and return the call's whole id.

    `call_id` may be the end of an id, as `logs` shows it. Said twice, the later word holds. Raises `UnknownCall`, and `TraceError` when
    the store cannot be read or written.
    """
    with closing(open_to_read(file)) as reading:
        whole = found_id(reading, call_id, file)
    judged = None if correct is None else time.time()
    try:
        with closing(open_to_write(file)) as connection:
            connection.execute(
                "UPDATE calls SET correct = ?, judged_at = ? WHERE id = ?", (correct, judged, whole)
            )
    except (sqlite3.Error, OSError) as error:
        message = f"{file}: what came of call {whole} cannot be written down ({error})"
        raise TraceError(message) from error
    return whole
