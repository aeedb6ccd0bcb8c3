"""What a configuration says of code: signals in a model's place, or before one."""

from __future__ import annotations

from typing import Any

import pytest

from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request

HERE = "tests.config.parts"
SCORES = {"kind": "python", "target": f"{HERE}:Scores"}
BROKEN = Answer(("x = = 1\n",))


def written(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "prm": {"kind": "code-signals", **keys}}


def test_signals_stand_in_a_models_place() -> None:
    assert load(written()).build().scorer == code_signals()
    assert load(written(entry="f")).build().scorer == code_signals("f")


def test_signals_stand_before_a_model_of_ones_own() -> None:
    alone = load({"version": 1, "prm": SCORES}).build().scorer
    checked = load(written(then=SCORES)).build().scorer
    assert alone is not None
    assert checked is not None
    good = Answer(("x = 1\n",))
    assert checked.score(Request("q"), [good, BROKEN])[0] == alone.score(Request("q"), [good])[0]
    assert checked.score(Request("q"), [BROKEN])[0].values == (0.0,)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"then": {"kind": "code-signals"}}, "prm.then.kind is 'code-signals'"),
        ({"then": {"kind": "python", "target": f"{HERE}:Nothing"}}, "prm.then.target is"),
        (
            {"then": {"kind": "transformers", "model": "m", "sha256": "0" * 64, "sha256_files": {"a": "0" * 64}}},
            "prm.then.sha256 and prm.then.sha256_files cannot both be given",
        ),
        (
            {"then": {"kind": "pooling", "urls": ["http://h:1"], "model": "m", "tokenizer": "t", "key_env": "NO_SUCH_KEY"}},
            "prm.then.key_env is 'NO_SUCH_KEY', but that environment variable is not set",
        ),
    ],
)  # fmt: skip
def test_problems_are_said_where_they_are(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(**keys)).build()
