"""The third driver's world: ports that answer from a recording, so that ordinary strategies run without a model.

A `Tape` is one recorded problem made ready once; `replay` runs any strategy on it with the samples in a
given order. Nothing is drawn twice: when the recording ends, the sampler gives what is left, then nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware.effects import Strategy
from adaptive_middleware.engine import run
from adaptive_middleware.ports import Ports
from adaptive_middleware.tapes import Take, Tape, as_written, canonical, once, recorded_answer, take, tape
from adaptive_middleware.types import Outcome, Path, Request, StepScores, Verdict

__all__ = [
    "ENDED",
    "RecordedExtender",
    "RecordedSampler",
    "RecordedScorer",
    "RecordedStreamer",
    "RecordedVerifier",
    "Take",
    "Tape",
    "as_written",
    "canonical",
    "once",
    "recorded_answer",
    "replay",
    "take",
    "tape",
]

ENDED = "the recording ended"
"""How the cause begins when a strategy asked for more samples than there are."""


def replay(tape: Tape, strategy: Strategy, order: Sequence[int] | None = None) -> Outcome:
    """The outcome of `strategy` when the samples of `tape` come in `order` (default: as recorded).

    The ordinary engine runs the ordinary strategy. When the strategy asked for more samples than `order`
    holds, the outcome's `degraded` says so. Raises what the strategy raises.
    """
    sampler = RecordedSampler(tape, range(len(tape.paths)) if order is None else order)
    scorer, verifier = RecordedScorer(tape), RecordedVerifier()
    ports = Ports(sampler, scorer, verifier, RecordedStreamer(sampler), RecordedExtender(sampler))
    outcome = run(strategy(tape.request), ports)
    if not sampler.refused:
        return outcome
    cause = f"{ENDED} after {sampler.drawn} samples; {sampler.refused} more were asked for"
    return replace(outcome, degraded=(*outcome.degraded, cause))


class RecordedSampler:
    """Gives the paths of a tape in order, each once: fewer at the end, then none.

    `drawn` counts what it gave, `refused` what it was asked for and did not have.
    """

    def __init__(self, tape: Tape, order: Sequence[int]) -> None:
        self.tape, self._left = tape, list(order)
        self.drawn = self.refused = 0

    def sample(self, request: Request, n: int) -> list[Path]:  # noqa: ARG002 - the port's signature
        """The next `n` recorded samples, as far as there are any."""
        return self.taken(self._left[:n], n)

    def continuing(self, steps: tuple[str, ...], n: int) -> list[Path]:
        """The next `n` recorded samples that begin with `steps` and go on, as far as there are any."""
        return self.taken([i for i in self._left if self._goes_on(i, steps)][:n], n)

    def taken(self, samples: Sequence[int], n: int) -> list[Path]:
        """Those samples, of `n` that were asked for; they will not come again."""
        for index in samples:
            self._left.remove(index)
        self.drawn += len(samples)
        self.refused += n - len(samples)
        return [self.tape.paths[index] for index in samples]

    def at(self, path: Path, steps: int) -> Path:
        """What had been read of the sample of `path` after so many of its steps."""
        cuts = self.tape.prefixes
        sample = take(path).sample
        known = cuts[sample] if cuts else ()
        return known[steps] if steps < len(known) else self.tape.paths[sample] if cuts else path

    def _goes_on(self, sample: int, steps: tuple[str, ...]) -> bool:
        whole = self.tape.paths[sample].steps
        return not steps or (len(whole) > len(steps) and whole[: len(steps)] == steps)


@dataclass(frozen=True, slots=True)
class RecordedStreamer:
    """Gives the same paths as `sampler`, in the same order, step by step."""

    sampler: RecordedSampler

    def begin(self, request: Request, n: int) -> list[Path]:
        """The next `n` recorded samples, open; a sample of one step or of a verified pool is ready at once."""
        return [self.sampler.at(path, 0) for path in self.sampler.sample(request, n)]

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """Each path one recorded step further."""
        return [path if path.ended else self.sampler.at(path, len(path.steps) + 1) for path in paths]

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        """The path, one recorded step longer each time."""
        while not path.ended:
            (path,) = self.advance(request, [path])
            yield path

    def drop(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """The paths as they are: a recording stops where it is told to."""
        return list(paths)


@dataclass(frozen=True, slots=True)
class RecordedExtender:
    """Continues a path by what recorded samples have for its next step: first its own, then those that begin alike.

    Each sample is used once, by whoever comes first in order; what was asked for beyond them counts as `refused`.
    A step costs what it has in its own sample.
    """

    sampler: RecordedSampler
    given: dict[int, int] = field(default_factory=dict)

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:  # noqa: ARG002
        """At most `fanout` continuations of each path, one recorded step longer."""
        return [longer for path in paths for longer in self._extended(path, fanout)]

    def _extended(self, path: Path, fanout: int) -> list[Path]:
        steps = len(path.steps)
        own = isinstance(path.raw, Take) and self.given.get(path.raw.sample) == steps
        wholes = [*([path] if own else []), *self.sampler.continuing(path.steps, fanout - own)]
        return [self._longer(whole, steps) for whole in wholes]

    def _longer(self, whole: Path, steps: int) -> Path:
        longer = self.sampler.at(whole, steps + 1)
        read = self.sampler.at(whole, steps).usage.completion_tokens if steps else 0
        cost = longer.usage.completion_tokens - read
        self.given[take(whole).sample] = steps + 1
        return replace(longer, usage=replace(longer.usage, completion_tokens=cost))


@dataclass(frozen=True, slots=True)
class RecordedScorer:
    """Gives recorded scores; a sample or question without them gets a rejected set that says so."""

    tape: Tape

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:  # noqa: ARG002
        """The recorded scores of each path; a path without steps is the question."""
        return [take(path).scores if path.steps else self.tape.question for path in paths]


@dataclass(frozen=True, slots=True)
class RecordedVerifier:
    """Says of each sample whether the recording holds it for right."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002
        """One verdict per path, never undecided."""
        return [Verdict(take(path).correct, "recorded") for path in paths]
