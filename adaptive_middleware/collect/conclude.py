"""The end of a collection: examples, bundle and report, written to its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.calibration.bundle import save
from adaptive_middleware.collect.control import Spent
from adaptive_middleware.collect.fitting import Fit, Fitted, Split, fitted, held_out_ids, split
from adaptive_middleware.collect.measured import Measured, Tally, write_rows
from adaptive_middleware.collect.run import Collected
from adaptive_middleware.collect.settings import Settings
from adaptive_middleware.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Papers:
    """What the data is of: the ids of both models, of all problems (finished or not), and what it cost."""

    prm: str
    generator: str
    ids: Sequence[str]
    cost: Spent


@dataclass(frozen=True, slots=True)
class Result:
    """What a session ended with: the report (plain JSON values) and, for pictures, the fitted calibration."""

    report: Mapping[str, Any]
    fitted: Fitted


def conclude(out: File, settings: Settings, fit: Fit, collected: Collected, papers: Papers) -> Result:
    """Write the examples, fit, evaluate, and write bundle and report.

    Where no calibration is possible the report says why, and the `CalibrationError` goes on.
    """
    held_out = held_out_ids(papers.ids, settings.held_out, settings.seed)
    parts = split(collected.problems, held_out)
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "examples_fit.jsonl.gz", parts.fitted)
    write_rows(out / "examples_held_out.jsonl.gz", parts.held_out)
    told = _told(settings, collected, parts, papers)
    try:
        found = fitted(parts, fit, prm=papers.prm, generator=papers.generator)
    except CalibrationError as error:
        _write(out, {"calibration": None, "why": str(error), **told})
        raise
    save(found.bundle, out / "calibration.json")
    evaluation = {kind: asdict(one) for kind, one in found.evaluations.items()}
    report = {"calibration": "calibration.json", "why": None, **told, "held_out": evaluation}
    _write(out, report)
    return Result(report, found)


def _told(settings: Settings, collected: Collected, parts: Split, papers: Papers) -> dict[str, Any]:
    tally = sum((problem.tally for problem in collected.problems), Tally())
    return {
        "method": settings.method,
        "prm": papers.prm,
        "generator": papers.generator,
        "problems": {
            "prompts": len(papers.ids),
            "finished": len(collected.problems),
            "failed": len(collected.failed),
            "fitted": _problems(parts.fitted),
            "held_out": _problems(parts.held_out),
        },
        "paths": {"fitted": len(parts.fitted), "held_out": len(parts.held_out)},
        "counts": asdict(tally),
        "tokens": asdict(papers.cost),
        "stopped": collected.stopped or None,
        "settings": settings.model_dump(mode="json", exclude_none=True),
    }


def _problems(rows: Sequence[Measured]) -> int:
    return len({row.problem for row in rows})


def _write(out: File, report: Mapping[str, Any]) -> None:
    replace_file(out / "report.json", (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
