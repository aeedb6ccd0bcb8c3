"""What becomes of open answers: closed and counted, or, where nothing was finished, the best of them returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adaptive_middleware.effects import Drop, Flow
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.types import Candidate, Request, State

_LATE = f"{DeadlineExceeded.__name__}: "
CUT = "no answer was finished: the best open one is returned as it is"


def closed(request: Request, open_ones: Sequence[Candidate], notes: Notes) -> Flow[list[Candidate]]:
    """The answers, closed for good, with what they cost in the end; that is counted."""
    if not open_ones:
        return []
    paths = yield from Drop(request, tuple(one.path for one in open_ones))
    for path in paths:
        notes.usage += path.usage
        if path.error is not None:
            notes.degraded.append(f"an open answer was not closed cleanly: {path.error}")
    ends = [replace(path, error=None) for path in paths]
    return [replace(one, path=end) for one, end in zip(open_ones, ends, strict=True)]


def settled(judging: Judging, state: State, given_up: Sequence[Candidate], notes: Notes) -> State:
    """The state at the end of a call that leaves `given_up` unfinished.

    Where no answer was finished, the most promising one of them becomes the answer, or, where they have no text, of
    those dropped earlier; it is marked as cut off (`finish_reason` "length"). It has no estimate, because that was of
    an answer that is continued.
    """
    earlier = state.dropped
    state = judging.after(state, (), given_up)
    begun = [one for one in given_up if one.path.text.strip()]
    begun = begun or [one for one in earlier if one.path.text.strip()]
    if state.leader is not None or not begun:
        return state
    best = max(begun, key=promise)
    notes.degraded.append(CUT)
    path = replace(best.path, done=False, finish_reason="length")
    state = replace(state, dropped=tuple(one for one in state.dropped if one is not best))
    return judging.after(state, [Candidate(path, best.scores, answer=judging.answer(path))])


def overtaken(judging: Judging, state: State, notes: Notes) -> State:
    """The state of a call without a finished answer: the deadline ended some while they were written, and that is no failure.

    The most promising of them becomes the answer; the others count as dropped.
    """
    late = [one for one in notes.failed if (one.error or "").startswith(_LATE) and one.text.strip()]
    if state.leader is not None or not late:
        return state
    notes.failed = [one for one in notes.failed if one not in late]
    return settled(judging, state, [Candidate(replace(one, error=None)) for one in late], notes)


def promise(candidate: Candidate) -> float:
    """The mean of the estimate; -1 without one."""
    return -1.0 if candidate.estimate is None else candidate.estimate.mean
