"""Streamers of threads and of tasks over scripted sources: steps, faults, costs, and nothing left open."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from adaptive_middleware.errors import NotStreaming, SamplerError
from adaptive_middleware.sampling import streams
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.types import Path, Request, ToolCall, Usage

ASKED = Request("What is 2 + 2?")  # 14 characters: 4 estimated tokens
STOP = Piece(finish_reason="stop")
MARK: ContextVar[str] = ContextVar("MARK", default="")


@dataclass
class World:
    """A source of scripted pieces: an exception is raised, a number is a pause in seconds."""

    script: Sequence[Any]
    settings: dict[str, Any] = field(default_factory=dict)
    opened: int = 0
    closed: int = 0
    read: int = 0
    marks: list[str] = field(default_factory=list)

    def source(self, request: Request) -> Generator[Piece, None, None]:
        self.opened += 1
        try:
            for item in self.script:
                if isinstance(item, float):
                    time.sleep(item)
                    continue
                yield self.piece(item)
        finally:
            self.closed += 1

    async def asource(self, request: Request) -> AsyncGenerator[Piece, None]:
        self.opened += 1
        try:
            for item in self.script:
                await asyncio.sleep(item if isinstance(item, float) else 0)
                if not isinstance(item, float):
                    yield self.piece(item)
        finally:
            await asyncio.sleep(0)
            self.closed += 1

    def piece(self, item: Any) -> Piece:
        self.marks.append(MARK.get())
        if isinstance(item, Exception):
            raise item
        self.read += 1
        return item if isinstance(item, Piece) else Piece(item)


class Both:
    """One face for the two streamers, so that every promise is tested of both."""

    def __init__(self, world: World, kind: str) -> None:
        self.threads = StepStreamer(world.source, **world.settings)
        self.tasks = AsyncStepStreamer(world.asource, **world.settings)
        self.kind = kind

    async def begin(self, n: int, request: Request = ASKED) -> list[Path]:
        if self.kind == "threads":
            return self.threads.begin(request, n)
        return await self.tasks.abegin(request, n)

    async def advance(self, paths: Sequence[Path], request: Request = ASKED) -> list[Path]:
        if self.kind == "threads":
            return self.threads.advance(request, paths)
        return await self.tasks.aadvance(request, paths)

    async def follow(self, path: Path, request: Request = ASKED) -> list[Path]:
        if self.kind == "threads":
            return list(self.threads.follow(request, path))
        return [longer async for longer in self.tasks.afollow(request, path)]

    async def drop(self, paths: Sequence[Path]) -> list[Path]:
        if self.kind == "threads":
            return self.threads.drop(ASKED, paths)
        return await self.tasks.adrop(ASKED, paths)

    async def all_steps(self, n: int = 1) -> list[Path]:
        (path,) = await self.begin(1)
        seen = []
        while not path.ended:
            (path,) = await self.advance([path])
            seen.append(path)
        return seen


@pytest.fixture(params=["threads", "tasks"])
def streamer(request: pytest.FixtureRequest) -> Callable[..., tuple[Both, World]]:
    def made(*script: Any, **settings: Any) -> tuple[Both, World]:
        world = World(script, settings)
        return Both(world, request.param), world

    return made


Made = Callable[..., tuple[Both, World]]


async def test_each_advance_gives_one_closed_step_and_the_end_gives_the_whole_answer(streamer: Made) -> None:
    both, world = streamer("on", "e\n", "\ntwo\n\nthr", "ee", "\n\nfour", STOP)
    seen = await both.all_steps()
    assert [path.steps for path in seen[:-1]] == [
        ("one\n\n",),
        ("one\n\n", "two\n\n"),
        ("one\n\n", "two\n\n", "three\n\n"),
    ]
    assert seen[-1].steps == ("one\n\n", "two\n\n", "three\n\n", "four")
    assert (seen[-1].done, seen[-1].finish_reason, seen[-1].raw) == (
        True,
        "stop",
        "one\n\ntwo\n\nthree\n\nfour",
    )
    assert not any(path.done or path.ended for path in seen[:-1])
    assert (world.opened, world.closed) == (1, 1)


async def test_nothing_is_read_beyond_the_piece_that_closes_a_step(streamer: Made) -> None:
    both, world = streamer("one\n\n", "two\n\n", "three", STOP)
    (path,) = await both.advance(await both.begin(1))
    assert (path.text, world.read) == ("one\n\n", 2)
    await both.drop([path])
    assert (world.read, world.closed) == (2, 1)


async def test_a_stream_that_is_begun_and_never_read_costs_nothing_and_asks_nothing(streamer: Made) -> None:
    both, world = streamer("one", STOP)
    dropped = await both.drop(await both.begin(3))
    assert [path.usage for path in dropped] == [Usage()] * 3
    assert world.opened == 0


async def test_boundary_lines_closes_lines_where_auto_waits_for_the_end(streamer: Made) -> None:
    both, _ = streamer("one\ntwo\nthree", STOP, boundary="lines")
    assert [len(path.steps) for path in await both.all_steps()] == [1, 2, 3]
    both, _ = streamer("one\ntwo\nthree", STOP)
    assert [len(path.steps) for path in await both.all_steps()] == [3]


async def test_a_stream_that_ends_without_a_reason_is_truncated_and_never_complete(streamer: Made) -> None:
    both, _ = streamer("The answer is 4.")
    (path,) = await both.all_steps()
    assert (path.done, path.finish_reason, path.ended, path.error) == (False, "truncated", True, None)


@pytest.mark.parametrize("reason", ["length", "max_tokens"])
async def test_an_answer_cut_by_its_limit_is_not_done(streamer: Made, reason: str) -> None:
    both, _ = streamer("The answer", Piece(finish_reason=reason))
    (path,) = await both.all_steps()
    assert (path.done, path.finish_reason) == (False, reason)


async def test_an_empty_answer_with_a_reason_is_complete(streamer: Made) -> None:
    both, _ = streamer("", STOP)
    (path,) = await both.all_steps()
    assert (path.done, path.steps, path.error) == (True, (), None)


async def test_an_error_in_mid_stream_ends_its_answer_alone_and_keeps_the_cost(streamer: Made) -> None:
    both, world = streamer("one\n\ntwo", OSError("reset by peer"))
    seen = await both.all_steps()
    assert seen[-1].error == "OSError: reset by peer"
    assert seen[-1].steps == ("one\n\n", "two")
    assert seen[-1].usage == Usage(4, 2, requests=1, estimated=True)  # 8 characters
    assert world.closed == 1


async def test_an_error_before_any_piece_of_any_answer_is_the_callers_to_see(streamer: Made) -> None:
    both, _ = streamer(PermissionError("no key"))
    with pytest.raises(PermissionError, match="no key"):
        await both.advance(await both.begin(2))


async def test_not_streaming_is_raised_even_when_others_stream(streamer: Made) -> None:
    both, world = streamer("one\n\n", "two\n\n", "three", STOP)
    paths = await both.advance(await both.begin(1))
    world.script = [NotStreaming("this model does not stream")]
    with pytest.raises(NotStreaming, match="does not stream"):
        await both.advance([*paths, *await both.begin(1)])
    await both.drop(paths)
    assert (world.opened, world.closed) == (2, 2)


async def test_a_silent_stream_ends_with_a_typed_error_and_its_cost(streamer: Made) -> None:
    both, world = streamer("one\n\ntwo", 0.4, "three", STOP, idle=0.1)
    (path,) = await both.advance(await both.begin(1))
    (path,) = await both.advance([path])
    assert path.error == "StreamStalled: no piece of the streamed answer in 0.1 s"
    assert path.usage.completion_tokens == 2
    await closes(world)


async def test_time_between_two_turns_is_not_silence_of_the_provider(streamer: Made) -> None:
    both, _ = streamer("one\n\n", "two\n\n", 0.05, "three", STOP, idle=0.2, max_concurrency=1)
    paths = await both.advance(await both.begin(3))
    await asyncio.sleep(0.3)
    assert [path.error for path in await both.advance(paths)] == [None] * 3


async def test_a_time_out_of_the_provider_is_its_own_error(streamer: Made) -> None:
    both, _ = streamer("one", TimeoutError("of the provider"))
    assert (await both.all_steps())[-1].error == "TimeoutError: of the provider"


def test_an_answer_that_was_dropped_is_not_asked_for_by_a_thread_that_comes_late() -> None:
    world = World(("one", STOP))
    streamer = StepStreamer(world.source)
    paths = streamer.begin(ASKED, 1)
    streamer.drop(ASKED, paths)
    (path,) = streamer.advance(ASKED, paths)
    assert (world.opened, path.done, path.usage) == (0, False, Usage())


def test_an_interrupted_wait_closes_every_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    world = World(("one\n\n", "two\n\n", "three", STOP))
    streamer = StepStreamer(world.source)
    paths = streamer.advance(ASKED, streamer.begin(ASKED, 2))
    monkeypatch.setattr(streams, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        streamer.advance(ASKED, paths)
    for thread in threading.enumerate():
        if thread.name.startswith("adaptive-stream"):
            thread.join(5)
    assert (world.opened, world.closed) == (2, 2)


async def closes(world: World) -> None:
    for _ in range(200):
        if world.closed == world.opened:
            return
        await asyncio.sleep(0.02)
    assert world.closed == world.opened


async def test_at_the_deadline_unfinished_answers_are_errors_and_closed(streamer: Made) -> None:
    both, world = streamer("one", 0.5, "two", STOP)
    paths = await both.begin(2)
    ended = await both.advance(paths, replace(ASKED, deadline=time.monotonic() + 0.2))
    assert all(str(path.error).startswith("DeadlineExceeded") for path in ended)
    assert [path.usage.completion_tokens for path in ended] == [1, 1]
    await closes(world)


async def test_a_deadline_in_the_past_sends_nothing_twice_and_leaves_nothing_open(streamer: Made) -> None:
    both, world = streamer(0.05, "one", STOP)
    ended = await both.advance(await both.begin(1), replace(ASKED, deadline=time.monotonic() - 1))
    assert str(ended[0].error).startswith("DeadlineExceeded")
    await closes(world)


async def test_the_providers_count_is_used_at_the_end_and_never_added_up(streamer: Made) -> None:
    counts = [Usage(7, 1), Usage(7, 3, cached_tokens=2)]
    both, _ = streamer(
        Piece("a b c", usage=counts[0], tokens=9), Piece(finish_reason="stop", usage=counts[1])
    )
    (path,) = await both.all_steps()
    assert path.usage == Usage(7, 3, 2, requests=1)


@pytest.mark.parametrize("said", [None, Usage(-1, 5), Usage(3, -5), Usage(3, 10**12), Usage(0, 0)])
async def test_a_missing_negative_or_absurd_count_is_replaced_by_a_flagged_estimate(
    streamer: Made, said: Usage | None
) -> None:
    both, _ = streamer(Piece("12345", usage=said), Piece(finish_reason="stop"))
    (path,) = await both.all_steps()
    assert path.usage == Usage(4, 2, requests=1, estimated=True)


async def test_a_dropped_answer_costs_the_tokens_seen(streamer: Made) -> None:
    early = Piece("", usage=Usage(11, 0), tokens=0)
    both, _ = streamer(early, Piece("one\n\n", logprobs=(-0.1, -0.2)), Piece("two", logprobs=(-0.3,)), STOP)
    (path,) = await both.drop(await both.advance(await both.begin(1)))
    assert path.usage == Usage(11, 3, requests=1)


async def test_log_probabilities_reach_to_the_end_of_the_steps(streamer: Made) -> None:
    pieces = [Piece("one", logprobs=(-0.1,)), Piece("\n\n", logprobs=(-0.2,)), Piece("two", logprobs=(-0.3,))]
    both, _ = streamer(*pieces, STOP)
    seen = await both.all_steps()
    assert [path.logprobs for path in seen] == [(-0.1, -0.2), (-0.1, -0.2, -0.3)]


async def test_tool_calls_of_all_pieces_belong_to_the_answer(streamer: Made) -> None:
    call = ToolCall("add", {"a": 1})
    both, _ = streamer(Piece(tool_calls=(call,)), Piece(finish_reason="tool_calls"))
    assert (await both.all_steps())[-1].tool_calls == (call,)


async def test_500_tiny_steps_in_one_piece_are_given_one_by_one(streamer: Made) -> None:
    both, world = streamer("x\n\n" * 501, 0.0, STOP)
    (path,) = await both.begin(1)
    for count in range(1, 501):
        (path,) = await both.advance([path])
        assert len(path.steps) == count
    assert world.read == 1
    (path,) = await both.advance([path])
    assert (len(path.steps), path.done) == (501, True)


async def test_an_answer_that_never_ends_is_cut_off_with_a_typed_error(streamer: Made) -> None:
    both, _ = streamer(*["word " * 100] * 50, most=10_000)
    (path,) = await both.all_steps()
    assert str(path.error).startswith("AnswerTooLong: the streamed answer passed 10000 characters")


async def test_a_finish_that_fails_is_a_failed_answer(streamer: Made) -> None:
    def finish(pieces: Sequence[Piece]) -> object:
        raise ValueError("chunks do not add up")

    both, _ = streamer("one", STOP, finish=finish)
    (path,) = await both.all_steps()
    assert (path.error, path.done) == ("ValueError: chunks do not add up", False)


async def test_following_shows_every_growth_and_ends_with_the_whole_answer(streamer: Made) -> None:
    both, world = streamer("one", "", "\n\ntw", "o", STOP)
    seen = await both.follow((await both.begin(1))[0])
    assert [path.steps for path in seen] == [
        ("one",),
        ("one\n\n", "tw"),
        ("one\n\n", "two"),
        ("one\n\n", "two"),
    ]
    assert [path.ended for path in seen] == [False, False, False, True]
    assert world.closed == 1


async def test_following_an_answer_that_was_read_in_part_begins_with_what_was_read(streamer: Made) -> None:
    both, _ = streamer("one\n\ntwo\n\nth", "ree", STOP)
    (path,) = await both.advance(await both.begin(1))
    assert [one.text for one in await both.follow(path)] == [
        "one\n\ntwo\n\nth", "one\n\ntwo\n\nthree", "one\n\ntwo\n\nthree",
    ]  # fmt: skip


async def test_following_ends_with_the_error_of_the_stream(streamer: Made) -> None:
    both, _ = streamer("one", OSError("gone"))
    assert [path.error for path in await both.follow((await both.begin(1))[0])] == [None, "OSError: gone"]


async def test_a_source_always_runs_in_the_context_in_which_it_was_opened(streamer: Made) -> None:
    both, world = streamer("one\n\n", "two\n\n", "three", STOP)
    token = MARK.set("opened")
    paths = await both.begin(1)
    MARK.reset(token)
    await both.drop(await both.advance(paths))
    assert world.marks == ["opened"] * 2


async def test_only_so_many_answers_are_read_at_the_same_moment(streamer: Made) -> None:
    both, world = streamer("one", STOP, max_concurrency=2)
    ended = await both.advance(await both.begin(7))
    assert [path.text for path in ended] == ["one"] * 7
    assert world.closed == 7


async def test_a_foreign_path_is_refused_and_dropping_it_changes_nothing(streamer: Made) -> None:
    both, _ = streamer("one", STOP)
    with pytest.raises(SamplerError, match="not an open path of this streamer: 'x'"):
        await both.advance([Path(("x",), done=False)])
    assert await both.drop([Path(("x",), done=False)]) == [Path(("x",), done=False)]


@pytest.mark.parametrize("ticks", range(14))
async def test_cancelled_anywhere_no_task_and_no_stream_is_left(ticks: int) -> None:
    world = World(("one\n\n", "two\n\n", "three", STOP))
    streamer = AsyncStepStreamer(world.asource, max_concurrency=2)
    before = asyncio.all_tasks()
    held: list[Path] = []

    async def call() -> None:
        held.extend(await streamer.abegin(ASKED, 4))
        try:
            paths = await streamer.aadvance(ASKED, held)
            await streamer.aadvance(ASKED, paths)
        finally:
            await streamer.adrop(ASKED, held)

    task = asyncio.create_task(call())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == before
    assert world.closed == world.opened


@pytest.mark.parametrize("ticks", range(1, 7))
async def test_a_drop_that_is_cancelled_still_closes_every_stream(ticks: int) -> None:
    world = World(("one\n\n", "two\n\n", "three", STOP))
    streamer = AsyncStepStreamer(world.asource)
    paths = await streamer.aadvance(ASKED, await streamer.abegin(ASKED, 5))
    task = asyncio.create_task(streamer.adrop(ASKED, paths))
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (world.opened, world.closed) == (5, 5)


async def test_a_watcher_that_goes_away_closes_the_stream(streamer: Made) -> None:
    both, world = streamer("one", "two", STOP)
    (path,) = await both.begin(1)
    if both.kind == "threads":
        watched = both.threads.follow(ASKED, path)
        assert next(watched).text == "one"
        watched.close()  # type: ignore[attr-defined]
    else:
        awatched = both.tasks.afollow(ASKED, path)
        assert (await anext(awatched)).text == "one"
        await awatched.aclose()  # type: ignore[attr-defined]
    assert world.closed == 1


def test_threads_that_were_left_behind_end_with_their_source() -> None:
    world = World(("one", 0.3, "two", STOP))
    streamer = StepStreamer(world.source, idle=0.05)
    streamer.advance(ASKED, streamer.begin(ASKED, 3))
    for thread in threading.enumerate():
        if thread.name.startswith("adaptive-stream"):
            thread.join(5)
    assert world.closed == world.opened == 3
