"""The catalogue of errors: each class has a code, a cause, a next step and a place in the documentation."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import adaptive_middleware
from adaptive_middleware import cli
from adaptive_middleware.cli.later import COMMANDS
from adaptive_middleware.errors import AdaptiveError, ConfigError, ScorerError

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "errors.md").read_text()


def below(error: type[AdaptiveError]) -> Iterator[type[AdaptiveError]]:
    yield error
    for one in sorted(error.__subclasses__(), key=lambda one: one.__name__):
        if one.__module__.startswith("adaptive_middleware."):
            yield from below(one)


def every_error() -> list[type[AdaptiveError]]:
    """All classes, in whichever module of the package they are."""
    for module in pkgutil.walk_packages(adaptive_middleware.__path__, "adaptive_middleware."):
        path = ROOT / (module.name.replace(".", "/") + ("/__init__.py" if module.ispkg else ".py"))
        if re.search(r"^class \w+\((\w*Error|\w*Exceeded)\):", path.read_text(), re.MULTILINE):
            importlib.import_module(module.name)
    return list(below(AdaptiveError))


ERRORS = every_error()


def entry(error: type[AdaptiveError]) -> str:
    """What the page says of an error."""
    cause = (error.__doc__ or "").split("\n")[0]
    return f"### {error.code}\n\n`{error.__name__}`: {cause}\n\n{error.remedy}\n"


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_every_error_has_a_code_a_cause_and_a_next_step_of_its_own(error: type[AdaptiveError]) -> None:
    assert {"code", "remedy"} <= vars(error).keys(), f"give {error.__name__} a `code` and a `remedy`"
    assert re.fullmatch(r"AMW-E\d{3}", error.code)
    assert re.fullmatch(r"[A-Z][^\n]+[.]", error.remedy)
    assert entry(error) in PAGE, f"docs/errors.md must have:\n{entry(error)}"


def test_codes_are_of_one_class_each_and_the_page_has_no_others() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
    assert re.findall(r"^### (\S+)$", PAGE, re.MULTILINE) == sorted(codes)


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_what_a_next_step_names_is_there(error: type[AdaptiveError]) -> None:
    assert all((ROOT / page).is_file() for page in re.findall(r"docs/[a-z-]+\.md", error.remedy))
    named = set(re.findall(r"`adaptive-middleware ([a-z-]+)", error.remedy))
    assert named <= COMMANDS.keys()


def test_a_traceback_ends_with_code_and_next_step_and_the_message_stays_as_it_is() -> None:
    error = ConfigError("seven is no number", file="a.yaml", line=2, column=3)
    assert str(error) == "a.yaml:2:3: seven is no number"
    last = traceback.format_exception(error)[-1]
    assert last.startswith("AMW-E100: Correct the place that the message names")
    assert last.endswith("(docs/errors.md#amw-e100)\n")


def test_a_copied_error_says_it_once() -> None:
    error = ScorerError("gone")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert again.__notes__ == error.__notes__
        assert len(again.__notes__) == 1


def test_the_command_line_names_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        message = "gone"
        raise ScorerError(message)

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "error: gone [AMW-E400]\n"
