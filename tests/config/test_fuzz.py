"""Whatever a file holds, reading it gives a configuration or one `ConfigError`."""

from __future__ import annotations

import copy
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.config import load
from adaptive_middleware.config.schema import Settings
from adaptive_middleware.errors import ConfigError

EXAMPLE = """\
version: 1
prm: {kind: transformers, model: m, device: "cuda:0"}
calibration: c.json
policies:
  codegen:
    when: {tags: [codegen, b], model: "o*"}
    strategy: best-of-n
    policy: {kind: optimal-stopping, target: 0.99, give_up: 0.5, window: 2}
    max_samples: 32
    verifier: {kind: python, target: "a.b:c", args: {x: [1, null]}}
    budget: {tokens: 600}
  default: {strategy: best-of-n, policy: {kind: fixed, n: 3}, select: majority, score_question: true}
budget:
  per_call: {tokens: 20000, seconds: 60}
"""
EXAMPLE_TOML = """\
version = 1
calibration = "c.json"
[prm]
kind = "transformers"
model = "m"
device = "cuda:0"
[policies.codegen]
when = {tags = ["codegen", "b"], model = "o*"}
strategy = "best-of-n"
policy = {kind = "optimal-stopping", target = 0.99, give_up = 0.5, window = 2}
max_samples = 32
verifier = {kind = "python", target = "a.b:c", args = {x = [1, 2]}}
budget = {tokens = 600}
[policies.default]
strategy = "best-of-n"
policy = {kind = "fixed", n = 3}
[budget.per_call]
tokens = 20000
seconds = 1.5
"""
DOCUMENT = tomllib.loads(EXAMPLE_TOML)
PIECES = [
    "\t",
    "\n",
    "  ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!int ",
    "'",
    '"',
    "#",
    "|",
    ">",
    "\x00",
    "\u2028",
]
PIECES += [
    "010",
    "1e3",
    "12:30",
    "no",
    "~",
    ".nan",
    "2026-01-01",
    "? ",
    "<<: ",
    "---\n",
    "...",
    "%YAML 9.9\n",
    "\\",
    "é",
    "=",
    "'''",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["lab", "python", "fixed", "best-of-n", "a.b:c", "codegen", 10**400, b"x", {1, 2}, object()]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def refused(source: Path | dict[str, Any]) -> ConfigError | None:
    """The error with which a source is refused, or None when it is a configuration."""
    try:
        load(source)
    except ConfigError as error:
        return error
    return None


def read_or_refused(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        error = refused(file)
    if error is not None:
        assert error.file == str(file)
        assert str(error).encode().startswith(str(file).encode())
        breaks = sum(content.count(each.encode()) for each in "\n\r\x85\u2028\u2029")
        assert 1 <= (error.line or 1) <= breaks + 1


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.toml"]))
def test_any_bytes_are_read_or_refused(content: bytes, name: str) -> None:
    read_or_refused(content, name)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30),
    st.sampled_from(["a.yaml", "a.toml"]),
)
def test_any_text_of_the_language_is_read_or_refused(pieces: list[str], name: str) -> None:
    read_or_refused("".join(pieces).encode("utf-8", "replace"), name)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_edit_of_a_valid_file_is_read_or_refused(data: st.DataObject) -> None:
    yaml_or_toml = data.draw(st.booleans())
    text = EXAMPLE if yaml_or_toml else EXAMPLE_TOML
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 6))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[start + length :]
    read_or_refused(text.encode(), "a.yaml" if yaml_or_toml else "a.toml")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_value_is_taken_or_refused(data: st.DataObject) -> None:
    document: Any = copy.deepcopy(DOCUMENT)
    inside = document
    while True:
        key = data.draw(st.sampled_from(sorted(inside, key=str)) if isinstance(inside, dict) else st.just(0))
        if not isinstance(inside[key], (dict, list)) or not inside[key] or data.draw(st.booleans()):
            break
        inside = inside[key]
    if isinstance(inside, dict) and data.draw(st.booleans()):
        inside[
            data.draw(st.text(max_size=6) | st.sampled_from(["kind", "when", "n", "[key]", "default"]))
        ] = inside.pop(key)
    else:
        inside[key] = data.draw(VALUES)
    error = refused(document)
    assert error is None or error.file is None


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(Settings.model_fields)) | st.text(max_size=5), VALUES, max_size=5)
)
def test_any_mapping_is_taken_or_refused(document: dict[str, Any]) -> None:
    error = refused(document)
    assert error is None or str(error)


def test_the_examples_that_are_edited_are_valid(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(EXAMPLE)
    (tmp_path / "a.toml").write_text(EXAMPLE_TOML)
    assert [refused(tmp_path / name) for name in ("a.yaml", "a.toml")] == [None, None]
