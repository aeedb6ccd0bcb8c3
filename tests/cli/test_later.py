"""Commands that are imported when they are asked for: all of them are found, and a mistyped one is guessed."""

from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.cli.later import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_its_name_and_says_what_it_does(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"root {name}" in result.output


@pytest.mark.parametrize("place", COMMANDS.values())
def test_every_place_is_a_function_or_an_application(place: str) -> None:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"adaptive_middleware.cli.{module}"), attribute)
    assert callable(found) or isinstance(found, typer.Typer)


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert all(name in result.output for name in COMMANDS)


def test_a_mistyped_command_is_guessed() -> None:
    result = CliRunner().invoke(app, ["explian"])
    assert result.exit_code == 2
    assert "Did you mean 'explain'" in result.output
