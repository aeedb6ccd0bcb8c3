"""The provider classes of this world, wrapped: one contract for the SDK, LangChain and LlamaIndex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import openai
import pytest

from adaptive_middleware import Middleware, Path, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from tests.clients.site import SUM, TOLD
from tests.worlds.subjects import Numbers

Made = Callable[..., Any]


def seven_is_right(path: Path) -> Sequence[float]:
    return [0.95 if "is 7" in path.text else 0.05] * max(len(path.steps), 1)


def best_of(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n), scorer=TableScorer(seven_is_right))


@pytest.mark.parametrize("question", ["ask", "stream"])
async def test_the_best_of_three_comes_back_whole_or_streamed_with_the_cost_of_all(
    made: Made, server: Server, question: str
) -> None:
    bare = made("arithmetic", None)
    alone = await bare.ask()
    assert (alone.text, (await bare.stream()).text) == (SUM, SUM)
    server.reset()
    server.choices = 1  # so that the first two answers are wrong
    model = made("arithmetic+split", best_of(3))
    told = await (model.ask() if question == "ask" else model.stream())
    assert (told.text, told.tokens) == (SUM, 3 * alone.tokens)
    assert server.choices == 1 + 3


async def test_a_tool_loop_of_two_turns_ends_as_it_does_without(made: Made, server: Server) -> None:
    assert await made("constant", None).loop() == TOLD
    bare = [*server.calls]
    server.reset()
    assert await made("constant", best_of(3)).loop() == TOLD
    assert server.calls == [body for body in bare for _ in range(3)]


async def test_structured_output_is_read_from_the_winner(made: Made, server: Server) -> None:
    assert await made("constant", best_of(3)).fill() == Numbers(a=3, b=4)
    assert server.choices == 3


async def test_a_provider_that_refuses_several_choices_is_asked_several_times(
    made: Made, server: Server
) -> None:
    server.choices = 1
    assert (await made("arithmetic+split+single", best_of(3)).ask()).text == SUM
    assert server.choices == 1 + 3


@pytest.mark.parametrize(
    ("behaviour", "error"), [("fail", openai.InternalServerError), ("limit", openai.RateLimitError)]
)
@pytest.mark.parametrize("question", ["ask", "stream"])
async def test_a_provider_that_always_fails_is_the_sdks_own_error(
    made: Made, behaviour: str, error: type[Exception], question: str
) -> None:
    model = made(behaviour, best_of(3))
    with pytest.raises(error):
        await (model.ask() if question == "ask" else model.stream())
