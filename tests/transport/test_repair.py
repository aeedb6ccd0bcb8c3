"""A strategy that answers an answer: the messages that it adds reach the provider, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from adaptive_middleware import Middleware, Path, Rule
from adaptive_middleware.strategies.repair import repair
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.transport.said import said
from adaptive_middleware.types import Request, Verdict


class Fails:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(passed=False, detail="f(1) is 3")] * len(paths)


def repairing() -> Middleware:
    strategy = repair(lambda state: int(state.drawn < 2), complaint="No: {output}", score=False)
    return Middleware(rules=[Rule("code", strategy)], verifier=Fails())


async def test_the_second_sample_is_asked_with_the_first_answer_and_what_failed(
    asking: Any, server: Server
) -> None:
    bare = await asking.chat(asking.client(None), "constant", temperature=0.5)
    (plain,) = server.calls
    server.reset()
    await asking.chat(asking.client(repairing()), "constant", temperature=0.5)
    first, second = server.calls
    assert first == plain
    assert {**second, "messages": None} == {**plain, "messages": None}
    assert second["messages"] == [
        *plain["messages"],
        {"role": "assistant", "content": bare.choices[0].message.content},
        {"role": "user", "content": "No: f(1) is 3"},
    ]


@pytest.mark.parametrize(
    ("body", "messages", "change"),
    [
        ({"messages": [1, 2]}, [1, 2], {}),
        ({"messages": [1, 2]}, (1, 2, 3), {"messages": [1, 2, 3]}),
        ({"messages": [1]}, (), {}),
        ({"input": "q"}, ("q",), {}),
        ({"input": "q"}, ("q and more",), {"input": "q and more"}),
        ({"input": [1]}, (1, 2), {"input": [1, 2]}),
        ({"n": 1}, (), {}),
    ],
)
def test_a_body_changes_only_where_something_was_said(
    body: dict[str, Any], messages: Any, change: Any
) -> None:
    assert said(body, Request("q", messages=messages)) == change
