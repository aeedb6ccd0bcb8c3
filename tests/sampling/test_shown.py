"""What a watcher has seen: pieces as they come, each once, and never of two answers."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.effects import Begin, Flow, Follow, Sample
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Open, Piece, Reading, joined
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Outcome, Path, Request

ASKED = Request("2 + 2?")
SAID = [Piece("one"), Piece(tokens=1), Piece(" two"), Piece(finish_reason="stop")]


def source(request: Request) -> Generator[Piece, None, None]:
    yield from SAID


def breaking(request: Request) -> Generator[Piece, None, None]:
    yield Piece("one")
    yield Piece(tokens=1)
    message = "gone"
    raise ConnectionError(message)


def follows(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    return Outcome((yield from Follow(request, path)))


def follows_two(request: Request) -> Flow[Outcome]:
    first, second = yield from Begin(request, 2)
    yield from Follow(request, first)
    return Outcome((yield from Follow(request, second)))


def samples(request: Request) -> Flow[Outcome]:
    (path,) = yield from Sample(request, 1)
    return Outcome(path)


def follows_and_samples(request: Request) -> Flow[Outcome]:
    yield from follows(request)
    return (yield from samples(request))


def watched(strategy: object, answers: object = source) -> tuple[Shown, list[Sequence[Piece]]]:
    shown = Shown()
    streamer = StepStreamer(answers)  # type: ignore[arg-type]
    middleware = Middleware(strategy)  # type: ignore[arg-type]
    seen = middleware.stream(ASKED, ScriptedSampler(["plain"]), streamer=streamer)
    return shown, [shown.more(one) for one in seen]


def test_every_piece_is_shown_once_in_order_and_as_soon_as_the_text_grows() -> None:
    shown, grown = watched(follows)
    assert [list(new) for new in grown] == [SAID[:1], SAID[1:3], SAID[3:], []]
    assert shown.complete()
    assert shown.outcome.chosen.text == "one two"


def test_without_anything_followed_nothing_was_shown() -> None:
    shown, grown = watched(samples)
    assert [list(new) for new in grown] == [[]]
    assert not shown.complete()


def test_two_answers_cannot_be_shown() -> None:
    with pytest.raises(SamplerError, match="after 7 characters, which were already shown: another answer"):
        watched(follows_two)


def test_what_was_shown_must_be_what_was_chosen() -> None:
    shown, _ = watched(follows_and_samples)
    with pytest.raises(SamplerError, match="after 7 characters, which were already shown: another one"):
        shown.complete()


def test_an_answer_that_broke_off_is_complete_as_far_as_it_came_without_what_is_no_text() -> None:
    shown, grown = watched(follows, breaking)
    assert [[piece.text for piece in new] for new in grown] == [["one"], [], []]
    assert shown.outcome.chosen.error == "ConnectionError: gone"
    assert shown.complete()


def test_what_was_read_at_the_moment_of_the_break_is_shown_up_to_its_last_text() -> None:
    reading = Reading(ASKED, StepSplitter(), joined, 10_000)
    pieces = [Piece("one"), Piece(tokens=1), Piece(" two"), Piece(tokens=1)]
    shown = Shown()
    reading.take(pieces[0])
    assert shown.more(Path(("one",), done=False, raw=Open(reading))) == pieces[:1]
    for piece in pieces[1:]:
        reading.take(piece)
    assert shown.more(reading.whole(error="gone")) == pieces[1:3]


def test_of_an_answer_that_failed_before_it_was_shown_nothing_is() -> None:
    reading = Reading(ASKED, StepSplitter(), joined, 10_000)
    reading.take(Piece("one"))
    shown = Shown()
    assert shown.more(Path(error="gone", raw=Open(reading))) == ()
    shown.more(Outcome(Path(("other",))))
    assert not shown.complete()


def test_another_answer_than_the_one_that_broke_off_cannot_be_returned() -> None:
    shown, _ = watched(follows_and_samples, breaking)
    with pytest.raises(
        SamplerError, match="after 3 characters, which were already shown: ConnectionError: gone"
    ):
        shown.complete()
