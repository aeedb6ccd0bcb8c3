"""`adaptive-middleware config`: check a configuration before it is used, and the schema for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from adaptive_middleware.config import Config, Problem
    from adaptive_middleware.errors import AdaptiveError

app = typer.Typer(no_args_is_help=True, help="Check a configuration; print its JSON schema.")


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="A .yaml, .yml or .toml file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Load models, calibration and your own parts, too.")
    ] = False,
) -> None:
    """Show what FILE would apply, or all that is wrong with it (exit status 2)."""
    from adaptive_middleware import config  # noqa: PLC0415 - loads pydantic
    from adaptive_middleware.errors import AdaptiveError  # noqa: PLC0415

    try:
        result = config.check(file)
        if isinstance(result, config.Config) and build:
            sys.path.insert(0, str(Path.cwd()))  # your own parts, as `python -m` would find them
            result.build()
    except AdaptiveError as error:
        _report_error(file, error, as_json)
    else:
        _report(file, result, as_json)


@app.command()
def schema() -> None:
    """Print the JSON schema (draft 2020-12) that editors complete and check configurations with."""
    from adaptive_middleware.config import json_schema  # noqa: PLC0415 - loads pydantic

    typer.echo(json.dumps(json_schema(), indent=2))


def _report(file: str, result: Config | tuple[Problem, ...], as_json: bool) -> None:
    from adaptive_middleware.config import refusal, summary  # noqa: PLC0415 - loads pydantic

    if isinstance(result, tuple):
        problems = [
            {"line": each.place.line, "column": each.place.column, "key": each.key, "message": each.message}
            for each in result
        ]
        _refuse(file, str(refusal(result, file)), problems, as_json)
    applied = summary(result)
    if as_json:
        typer.echo(json.dumps({"file": file, "valid": True, **applied}, default=str))
        return
    for line in _lines(file, applied):
        typer.echo(line)


def _report_error(file: str, error: AdaptiveError, as_json: bool) -> None:
    from adaptive_middleware.errors import ConfigError  # noqa: PLC0415

    place = error if isinstance(error, ConfigError) else ConfigError(str(error))
    problem = {"line": place.line, "column": place.column, "key": "", "message": place.message}
    _refuse(file, str(error), [problem], as_json)


def _refuse(file: str, text: str, problems: list[dict[str, Any]], as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"file": file, "valid": False, "problems": problems}))
    else:
        typer.echo(text, err=True)
    raise typer.Exit(2)


def _lines(file: str, applied: Mapping[str, Any]) -> list[str]:
    prm = applied["prm"] or {"kind": "none"}
    details = [f"{key} {value}" for key, value in prm.items() if key != "kind"]
    return [
        f"{file} is valid. The first rule that takes a call decides:",
        *(f"  {number}. {_rule(rule)}" for number, rule in enumerate(applied["rules"], start=1)),
        f"Process reward model: {', '.join([prm['kind'], *details])}",
        f"Calibration: {applied['calibration']}",
    ]


def _rule(rule: Mapping[str, Any]) -> str:
    calls = [f"{key} {_pattern(value)}" for key, value in rule["when"].items()]
    parts = [rule["strategy"]]
    if "policy" in rule:
        parts += [_kind(rule["policy"]), f"at most {rule['max_samples']} samples", f"select {rule['select']}"]
    parts += [f"{key} {_shown(value)}" for key, value in rule.items() if key not in _SHOWN_APART]
    parts += [f"verifier {rule['verifier']}"] if rule.get("verifier") else []
    parts += [f"tools {_tools(rule['tools'])}"] if rule.get("tools") else []
    parts += [f"{rule['tokens']} tokens a call"] if rule["tokens"] else []
    parts += [f"{rule['seconds']:g} s a call"] if rule["seconds"] else []
    return f"{rule['name']} ({' and '.join(calls) or 'all other calls'}): {', '.join(parts)}"


_SHOWN_APART = frozenset({
    "name", "when", "strategy", "tokens", "seconds", "policy", "max_samples", "select", "score_question", "verifier",
    "tools",
})  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " / ".join(_kind(each, "name") for each in value)
    return _kind(value) if isinstance(value, dict) else str(value)


def _tools(tools: Mapping[str, Any]) -> str:
    return " / ".join(_kind({"kind": name, **rule}) for name, rule in tools.items())


def _kind(part: Mapping[str, Any], called: str = "kind") -> str:
    options = [f"{key}={value}" for key, value in part.items() if key != called]
    return f"{part[called]}({', '.join(options)})"


def _pattern(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)
