"""Kept calls as a Parquet table, for notebooks and warehouses; needs the extra `parquet`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from pathlib import Path as File
from typing import Any

from adaptive_middleware.trace.export import placed
from adaptive_middleware.trace.reading import Kept

ROWS = 1000
"""Calls in one row group: as many as are in memory at once."""


def write_table(file: File, calls: Iterable[Kept], *, force: bool) -> int:
    """Write calls to a file, a row each, as `write_lines` writes lines; returns how many.

    The columns are those of the store, with `time` in UTC in place of `at`, and `details` as JSON text. Raises
    `ModuleNotFoundError` without pyarrow, and `TraceError` as `write_lines` does.
    """
    import pyarrow  # noqa: ICN001, PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    schema, count, rest = _schema(pyarrow), 0, iter(calls)

    def write(target: File) -> None:
        nonlocal count
        with parquet.ParquetWriter(target, schema, compression="zstd") as out:
            while batch := [_row(call) for call in islice(rest, ROWS)]:
                out.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                count += len(batch)

    placed(file, write, force=force)
    return count


def _schema(pyarrow: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    text, number, whole, flag = pyarrow.string(), pyarrow.float64(), pyarrow.int64(), pyarrow.bool_()
    times = pyarrow.timestamp("us", tz="UTC")
    columns = {"id": text, "time": times, "seconds": number, "rule": text, "strategy": text, "model": text}
    columns |= {"call_site": text, "run_id": text, "p": number, "lower": number}
    columns |= dict.fromkeys(("samples", "max_samples", "tokens", "prm_tokens", "fixed_tokens"), whole)
    columns |= {
        "usd": number,
        "degraded": whole,
        "verified": flag,
        "correct": flag,
        "unanswered": text,
        "level": text,
    }
    return pyarrow.schema(list((columns | {"question": text, "details": text}).items()))


def _row(call: Kept) -> dict[str, object]:
    columns = {one.name: getattr(call, one.name) for one in fields(call)}
    return {**columns, "time": _microseconds(columns.pop("at")), "details": json.dumps(call.details)}


def _microseconds(at: float) -> int | None:
    """Since 1970; None for what no timestamp can hold."""
    found = round(at * 1e6)
    return found if abs(found) < 2**63 else None
