"""Tools in a configuration: how their calls are checked."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from adaptive_middleware import Middleware, Request
from adaptive_middleware.config import Config, check, load, summary
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import ToolCall
from adaptive_middleware.verify.tool_schema import tool_schema

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
ADD = {"name": "add", "parameters": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}


def document(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "policies": {"default": {"strategy": "best-of-n", **keys}}}


def call(name: str, **arguments: Any) -> Answer:
    return Answer(tool_calls=(ToolCall(name, arguments),))


def test_calls_are_checked_against_the_tools_of_the_request() -> None:
    middleware = Middleware.from_config(
        document(policy={"kind": "fixed", "n": 3}, verifier={"kind": "tool-schema"})
    )
    assert middleware.verifier == tool_schema()
    sampler = ScriptedSampler([call("add", a="x"), call("sub"), call("add", a=1)])
    assert middleware.run(Request("?", tools=[ADD]), sampler).chosen == call("add", a=1)


def test_the_summary_names_the_check() -> None:
    shown: Any = summary(load(document(verifier={"kind": "tool-schema"})))
    assert [rule["verifier"] for rule in shown["rules"]] == ["tool-schema"]


def test_a_missing_library_is_reported_with_the_place_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(document(verifier={"kind": "tool-schema"})))
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r"adaptive-middleware\[tools\]") as raised:
        load(file).build()
    assert (raised.value.file, raised.value.line) == (str(file), 5)


def test_the_examples_of_the_page_are_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        assert isinstance(check(yaml.safe_load(example)), Config)
