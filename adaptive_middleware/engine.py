"""The two drivers: the only place where a strategy's wishes meet the world.

`run` answers effects from synchronous ports, `arun` from asynchronous ones. Both throw errors into the
flow, so that a strategy or a guard decides what a failure means; both check what a scorer returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, TypeVar

from adaptive_middleware.effects import (
    Advance,
    Begin,
    Consult,
    Drop,
    Effect,
    Extend,
    Flow,
    Follow,
    Pause,
    Sample,
    Score,
    Verify,
)
from adaptive_middleware.errors import NotContinuing, NotStreaming, SamplerError, ScorerError
from adaptive_middleware.following import afollowed, followed, in_time
from adaptive_middleware.ports import AsyncExtender, AsyncPorts, AsyncStreamer, Extender, Ports, Streamer
from adaptive_middleware.types import Path, StepScores, Verdict

T = TypeVar("T")


def run(flow: Flow[T], ports: Ports) -> T:
    """Drive `flow` to its end with synchronous ports and return its result."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = answered(effect, ports)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def arun(flow: Flow[T], ports: AsyncPorts) -> T:
    """Drive `flow` to its end with asynchronous ports and return its result.

    A request's deadline also bounds an effect that is under way: the awaited port call is cancelled and
    `DeadlineExceeded` is thrown into the flow.
    """
    try:
        effect = next(flow)
        while True:
            try:
                answer = await aanswered(effect, ports)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def answered(effect: Effect[Any], ports: Ports) -> object:
    """The answer to one effect, from synchronous ports."""
    match effect:
        case Sample(request, n):
            return ports.sampler.sample(request, n)
        case Score() | Verify():
            return _judged(effect, ports)
        case Begin() | Advance() | Follow() | Drop():
            return _stream(effect, streaming(ports.streamer))
        case Extend(request, paths, fanout):
            longer = continuing(ports.extender).extend(request, paths, fanout)
            return at_most(len(paths) * fanout, longer)
        case Consult() | Pause():
            return effect.outside()
    raise TypeError(_UNKNOWN.format(effect=effect))


def _judged(effect: Score | Verify, ports: Ports) -> object:
    request, paths = effect.request, effect.paths
    if isinstance(effect, Verify):
        unsure = [Verdict(None, "no verifier")] * len(paths)
        return unsure if ports.verifier is None else ports.verifier.verify(request, paths)
    if ports.scorer is None:
        raise ScorerError(_NO_SCORER)
    return checked_scores(paths, ports.scorer.score(request, paths))


def _stream(effect: Begin | Advance | Follow | Drop, streamer: Streamer) -> object:
    match effect:
        case Begin(request, n):
            return streamer.begin(request, n)
        case Advance(request, paths):
            return counted(paths, streamer.advance(request, paths))
        case Follow(_, path):
            return last(path, followed(effect, streamer))
        case Drop(request, paths):
            return counted(paths, streamer.drop(request, paths))


async def aanswered(effect: Effect[Any], ports: AsyncPorts) -> object:
    """The answer to one effect, from asynchronous ports, or `DeadlineExceeded`."""
    match effect:
        case (
            Sample(request)
            | Score(request)
            | Verify(request)
            | Begin(request)
            | Advance(request)
            | Extend(request)
        ):
            async with in_time(request, type(effect).__name__):
                return await _aanswer(effect, ports)
        case Consult() | Pause():
            return await effect.outside_async()
    return await _aanswer(effect, ports)


async def _aanswer(effect: Effect[Any], ports: AsyncPorts) -> object:
    match effect:
        case Sample(request, n):
            return await ports.sampler.asample(request, n)
        case Score(request, paths):
            if ports.scorer is None:
                raise ScorerError(_NO_SCORER)
            return checked_scores(paths, await ports.scorer.ascore(request, paths))
        case Verify(request, paths):
            if ports.verifier is None:
                return [Verdict(None, "no verifier")] * len(paths)
            return await ports.verifier.averify(request, paths)
        case Begin() | Advance() | Follow() | Drop():
            return await _astream(effect, streaming(ports.streamer))
        case Extend(request, paths, fanout):
            longer = await continuing(ports.extender).aextend(request, paths, fanout)
            return at_most(len(paths) * fanout, longer)
    raise TypeError(_UNKNOWN.format(effect=effect))


async def _astream(effect: Begin | Advance | Follow | Drop, streamer: AsyncStreamer) -> object:
    match effect:
        case Begin(request, n):
            return await streamer.abegin(request, n)
        case Advance(request, paths):
            return counted(paths, await streamer.aadvance(request, paths))
        case Follow(_, path):
            async for longer in afollowed(effect, streamer):
                path = longer
            return path
        case Drop(request, paths):
            return counted(paths, await streamer.adrop(request, paths))


_NO_SCORER = "a strategy asked for scores, but there is no scorer: set `prm` in the configuration"
_UNKNOWN = (
    "unknown effect {effect!r}: drivers answer Sample, Score, Verify, Begin, Advance, Follow, Extend, Drop, "
    "Consult and Pause"
)
_Streams = TypeVar("_Streams", Streamer, AsyncStreamer)
_Extends = TypeVar("_Extends", Extender, AsyncExtender)


def streaming(streamer: _Streams | None) -> _Streams:
    """The streamer; raises `NotStreaming` without one."""
    if streamer is None:
        message = "this call's answers cannot be read step by step: it has a sampler, but no streamer"
        raise NotStreaming(message)
    return streamer


def continuing(extender: _Extends | None) -> _Extends:
    """The extender; raises `NotContinuing` without one."""
    if extender is None:
        message = "this call's answers cannot be continued from a prefix: it has a sampler, but no extender"
        raise NotContinuing(message)
    return extender


def at_most(most: int, paths: Sequence[Path]) -> Sequence[Path]:
    """The continuations; raises `SamplerError` when there are more than were asked for."""
    if len(paths) > most:
        message = f"the extender returned {len(paths)} continuations where at most {most} were asked for"
        raise SamplerError(message)
    return paths


def last(path: Path, growing: Iterable[Path]) -> Path:
    """The last of the paths into which `path` grows; `path` itself when it does not."""
    for longer in growing:
        path = longer
    return path


def counted(asked: Sequence[Path], answered: Sequence[Path]) -> Sequence[Path]:
    """The answered paths; raises `SamplerError` unless there is one for each that was asked for."""
    if len(answered) != len(asked):
        message = f"the streamer returned {len(answered)} paths for {len(asked)} open ones"
        raise SamplerError(message)
    return answered


def checked_scores(paths: Sequence[Path], scores: Sequence[StepScores]) -> list[StepScores]:
    """The scores, with each unusable set replaced by one that says why it was rejected.

    Raises `ScorerError` when the number of score sets is not the number of paths: then nothing can be
    attributed. NaN, values outside [0, 1] and a wrong number of steps reject that path's set only.
    """
    if len(scores) != len(paths):
        message = f"the scorer returned {len(scores)} score sets for {len(paths)} paths"
        raise ScorerError(message)
    return [_checked(path, score) for path, score in zip(paths, scores, strict=True)]


def _checked(path: Path, scores: StepScores) -> StepScores:
    if scores.rejected is not None:
        return scores
    expected = max(len(path.steps), 1) - scores.first
    if len(scores.values) != expected or not scores.values:
        reason = f"{len(scores.values)} scores for {expected} steps"
    elif bad := [value for value in scores.values if not (isfinite(value) and 0.0 <= value <= 1.0)]:
        reason = f"score {bad[0]!r} is not in [0, 1]"
    else:
        return scores
    return StepScores(tokens=scores.tokens, rejected=reason)
