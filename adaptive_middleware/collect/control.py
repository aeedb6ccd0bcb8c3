"""When a collection may begin more work: its budget of tokens, and failures in a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Condition


class Stopped(Exception):
    """The collection takes no more work; what is finished is in the journal."""


class UnitFailed(Exception):
    """One unit of work failed: its problem is left for a later run."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that a collection has cost so far, over all of its runs."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prm_tokens: int = 0

    @property
    def generator(self) -> int:
        """What the budget is about: tokens that the sampled model read and wrote."""
        return self.prompt_tokens + self.completion_tokens


class Control:
    """The shared state of all workers: tokens spent and promised, failures in a row, and why to stop.

    `budget` bounds the generator's tokens, `spent` counts those of earlier runs. Work is begun only where
    its upper bound still fits, so the budget is never exceeded as long as the bounds hold.
    """

    def __init__(self, budget: int | None, spent: Spent, max_errors: int) -> None:
        self.spent, self.reason = spent, ""
        self.error = ""
        self._budget, self._max_errors = budget, max_errors
        self._promised = 0
        self._in_a_row: Counter[str] = Counter()
        self._changing = Condition()

    def begin(self, most: int) -> None:
        """Promise a unit of at most `most` tokens; raises `Stopped` where it must not be begun.

        Where only promises stand in its way, it waits until work under way has ended and shown what it really cost.
        """
        with self._changing:
            self._changing.wait_for(lambda: self.reason or not self._promised or self._fits(most))
            if not self._fits(most):
                self._stop("budget")
            if self.reason:
                raise Stopped(self.reason)
            self._promised += most

    def _fits(self, most: int) -> bool:
        return self._budget is None or self.spent.generator + self._promised + most <= self._budget

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._changing.notify_all()

    def end(self, most: int, cost: Spent) -> None:
        """A unit that was promised `most` tokens has ended and cost this."""
        with self._changing:
            self._promised -= most
            now = self.spent
            self.spent = Spent(
                now.prompt_tokens + cost.prompt_tokens,
                now.completion_tokens + cost.completion_tokens,
                now.prm_tokens + cost.prm_tokens,
            )
            self._changing.notify_all()

    def worked(self, what: str) -> None:
        """`what` (sampler, check, scorer) has worked once more."""
        with self._changing:
            self._in_a_row[what] = 0

    def failed(self, what: str, cause: str) -> None:
        """`what` has failed; after too many times in a row everything stops."""
        with self._changing:
            self._in_a_row[what] += 1
            if self._in_a_row[what] >= self._max_errors and not self.reason:
                self._stop("errors")
                self.error = (
                    f"the {what} failed {self._in_a_row[what]} times in a row, the last time: {cause}"
                )

    def stop(self, reason: str) -> None:
        """No more work is begun."""
        with self._changing:
            self._stop(reason)
