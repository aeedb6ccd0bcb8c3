"""`adaptive-middleware demo`: see the decisions as they are made, then one of them explained."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    seed: Annotated[int, typer.Option(help="Seed of the samples; the problems are always the same.")] = 0,
    per_level: Annotated[int, typer.Option(min=1, max=50, help="Problems of each of the 8 levels.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run the embedded model pair on problems from easy to hard, and explain one decision."""
    from adaptive_middleware.cli.demo_shown import show  # noqa: PLC0415 - other commands start without rich

    show(seed, per_level, as_json=as_json)
