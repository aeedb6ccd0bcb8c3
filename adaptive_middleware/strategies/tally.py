"""The tally of a call: what it has cost so far, whoever ends it, and whatever it was doing then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.effects import Begin, Effect, Extend, Flow, Sample, Score
from adaptive_middleware.errors import DeadlineExceeded, NotContinuing, NotStreaming
from adaptive_middleware.strategies.guards import PAID, settled, through
from adaptive_middleware.types import Outcome, Path, Usage


@dataclass(slots=True)
class Tally:
    """What went past: `drawn` are answers that ended or were closed, `begun` is of how many requests were on their way.

    A request of which nothing came back counts as a request; where it was cut off, as its prompt, too, which is certain to be paid for.
    """

    drawn: list[Path] = field(default_factory=list)
    begun: int = 0
    _usage: Usage = field(default_factory=Usage)

    def of(self, flow: Flow[Outcome]) -> Flow[Outcome]:
        """The flow, counted: the outermost guard, so that it sees what is really asked for."""
        return through(flow, self._ask)

    @property
    def usage(self) -> Usage:
        """What is known to be used."""
        return self._usage

    def closed(self, paths: Sequence[Path]) -> None:
        """Count answers that were closed before their end, because nobody reads them on."""
        self.drawn += paths
        self._usage = sum((path.usage for path in paths), self._usage)

    def _ask(self, effect: Effect[Any]) -> Flow[Any]:
        asked = _requests(effect)
        self.begun += asked
        try:
            answer: Any = yield effect
        except (NotStreaming, NotContinuing):
            self.begun -= asked  # refused: nothing was drawn, and the call goes on another way
            raise
        except BaseException as error:
            if asked:
                self._usage += _sent(effect, asked, error)
            raise
        if isinstance(effect, PAID):
            self.closed(settled(effect, answer))
        elif isinstance(effect, Score):
            self._usage += Usage(prm_tokens=sum(scores.tokens for scores in answer))
        return answer


def _sent(effect: Any, asked: int, error: BaseException) -> Usage:  # noqa: ANN401 - one that has a request
    """What requests have used from which nothing came back; a failure is not paid for, as budgets see it, too."""
    if isinstance(error, Exception) and not isinstance(error, DeadlineExceeded):
        return Usage(requests=asked, estimated=True)
    from adaptive_middleware.budget.estimates import LETTERS_PER_TOKEN  # noqa: PLC0415 - most calls have an answer

    prompt = max(len(effect.request.text.encode("utf-8", "surrogatepass")) // LETTERS_PER_TOKEN, 1)
    return Usage(prompt_tokens=asked * prompt, requests=asked, estimated=True)


def _requests(effect: Effect[Any]) -> int:
    """How many requests an effect sends."""
    match effect:
        case Sample(_, n) | Begin(_, n):
            return n
        case Extend(_, paths, fanout):
            return len(paths) * fanout
    return 0
