"""What becomes of open answers: closed and counted, or, where nothing was finished, the best of them returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adaptive_middleware.effects import Drop, Flow
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.types import Candidate, Request, State

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

    Where no answer was finished, the most promising one with any text becomes the answer, marked as cut off
    (`finish_reason` "length"); it has no estimate, because that was of an answer that is continued.
    """
    lost = list(given_up)
    begun = [one for one in lost if one.path.text.strip()]
    if state.leader is None and begun:
        best = max(begun, key=promise)
        lost = [one for one in lost if one is not best]
        notes.degraded.append(CUT)
        path = replace(best.path, finish_reason="length")
        state = judging.after(state, [Candidate(path, best.scores, answer=judging.answer(path))])
    return judging.after(state, (), lost)


def promise(candidate: Candidate) -> float:
    """The mean of the estimate; -1 without one."""
    return -1.0 if candidate.estimate is None else candidate.estimate.mean
