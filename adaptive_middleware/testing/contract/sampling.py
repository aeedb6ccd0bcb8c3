"""Promises at several samples: exactly so many, the majority's answer, everything counted, nothing lost."""

from __future__ import annotations

import asyncio

from adaptive_middleware.testing.contract.client import (
    THREE,
    Adapter,
    Answer,
    Client,
    Json,
    asking,
    called,
    expect,
    pieces_of,
)
from adaptive_middleware.testing.contract.passing import bodies
from adaptive_middleware.testing.fake_answers import reply
from adaptive_middleware.testing.fake_openai import Server, usage


def three_are_drawn_and_the_majority_wins(adapter: Adapter, server: Server) -> None:
    """Three requests; the first choice is the odd one out and loses, every time."""
    for _ in range(3):
        (answer,) = called(adapter, server, THREE, asking("arithmetic+outlier"))
        expect("the samples drawn", server.choices, 3)
        expect("the text of the answer", answer.text, "3 + 4 = 7\nThe answer is 7.")


def usage_is_the_sum_of_all_samples(adapter: Adapter, server: Server) -> None:
    """The tokens that the caller is told are those of the three answers together."""
    (answer,) = called(adapter, server, THREE, asking("split"))
    counted = [usage(sent, [reply(sent, k)]) for k, sent in enumerate(server.calls)]
    wanted = tuple(sum(one[name] for one in counted) for name in ("prompt_tokens", "completion_tokens"))
    expect("the usage", answer.usage, wanted)


def every_parameter_reaches_every_sample(adapter: Adapter, server: Server) -> None:
    """Each of three requests says what the framework alone would; but for `seed`, which may differ from sample to sample."""
    called(adapter, server, None, *bodies())
    alone = list(server.calls)
    called(adapter, server, THREE, *bodies())
    for at, wanted in enumerate(alone):
        sent = server.calls[3 * at : 3 * at + 3]
        seed = {"seed": wanted["seed"]} if "seed" in wanted else {}
        expect("the requests of the samples", [{**one, **seed} for one in sent], [wanted] * 3)


def samples_are_never_cached(adapter: Adapter, server: Server) -> None:
    """The same call again is drawn again."""
    called(adapter, server, THREE, asking(temperature=0), asking(temperature=0))
    expect("the samples of two equal calls", server.choices, 6)


def the_report_says_what_was_decided(adapter: Adapter, server: Server) -> None:
    """Samples drawn, their limit, and that nothing was withheld, are there to be read."""
    (answer,) = called(adapter, server, THREE, asking("arithmetic+outlier"))
    report = answer.report or {}
    found = {name: report.get(name) for name in ("samples", "max_samples", "abstained")}
    expect("the report", found, {"samples": 3, "max_samples": 3, "abstained": None})


def awaited_calls_are_decided_as_blocking_ones(adapter: Adapter, server: Server) -> None:
    """The same samples, answer and usage."""
    body = asking("arithmetic+outlier", temperature=1)
    (blocking,) = called(adapter, server, THREE, body)
    with adapter(server.url, THREE) as client:
        server.reset()
        awaited = asyncio.run(_awaited(client, body))
    expect("the awaited answer", awaited.said(), blocking.said())
    expect("the samples drawn", server.choices, 3)


def a_stream_shows_only_the_winner(adapter: Adapter, server: Server) -> None:
    """The pieces join to the answer that was chosen, and to nothing else, blocking and awaited."""
    found = pieces_of(adapter, server, THREE, asking("arithmetic+outlier"))
    joined = ["".join(pieces) if isinstance(pieces, list) else pieces for pieces in found]
    expect("the texts of two streams", joined, ["3 + 4 = 7\nThe answer is 7."] * 2)
    expect("the samples drawn", server.choices, 6)


async def _awaited(client: Client, body: Json) -> Answer:
    return await client.acall(body)
