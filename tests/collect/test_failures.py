"""What fails while collecting: it is written down, tried again later, and never becomes a wrong answer."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware.collect.control import Control, Spent, Stopped
from adaptive_middleware.collect.journal import NAME, Journal
from adaptive_middleware.collect.problem import Size, measure
from adaptive_middleware.collect.run import Collected, collect
from adaptive_middleware.collect.units import World, spent
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.types import Path, Request, StepScores, Usage
from adaptive_middleware.verify.function import function_check
from tests.collect.world import IDENTITY, Hunch, Luck, prompts, world

SIZE = Size(answers=3, prefixes=1, rollouts=4)


def quiet(_done: int, _failed: int) -> None:
    """Nobody watches."""


def run(
    folder: File, count: int = 3, *, change: Callable[[World], World] = lambda w: w, **parts: Any
) -> tuple[Collected, Control]:
    with Journal(folder, IDENTITY, resume=True) as journal:
        made = change(world(journal, **parts))
        return collect(prompts(count), made, SIZE, concurrency=1, watch=quiet), made.control


def journalled(folder: File, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / NAME).read_bytes().splitlines()]
    return [row for row in rows if kind in row]


def on(*calls: int) -> Callable[[int], None]:
    def fail(call: int) -> None:
        if call in calls:
            message = f"call {call} was refused"
            raise ConnectionError(message)

    return fail


def always(_call: int) -> None:
    message = "nobody there"
    raise ConnectionError(message)


def test_a_failing_call_sets_its_problem_aside_and_the_next_run_tries_it_again(tmp_path: File) -> None:
    first, control = run(tmp_path, sampler=Luck(fail=on(2)))
    assert len(first.problems) == 2
    ((name, cause),) = first.failed.items()
    assert cause == "sampler: ConnectionError: call 2 was refused"
    assert (first.stopped, control.error) == ("", "")
    (note,) = journalled(tmp_path, "note")
    assert note["cause"] == "ConnectionError: call 2 was refused"
    assert note["of"].endswith(name)
    again, _ = run(tmp_path)
    assert [p.rows for p in again.problems] == [p.rows for p in run(tmp_path / "whole")[0].problems]


def test_failures_in_a_row_end_the_run_and_successes_between_do_not(tmp_path: File) -> None:
    stopped, control = run(tmp_path / "dead", 9, sampler=Luck(fail=always), max_errors=3)
    assert (stopped.problems, stopped.stopped) == ((), "errors")
    assert (
        "the sampler failed 3 times in a row, the last time: ConnectionError: nobody there" in control.error
    )
    assert len(stopped.failed) == 3
    flaky, control = run(tmp_path / "flaky", 9, sampler=Luck(fail=on(1, 2, 5, 6, 20, 21)), max_errors=3)
    assert control.error == ""
    assert len(flaky.failed) == 6


def test_a_scorer_that_fails_or_miscounts_is_no_row(tmp_path: File) -> None:
    failed, _ = run(tmp_path, sampler=Luck(), scorer=Hunch(fail=on(1)))
    assert list(failed.failed.values()) == ["process reward model: ConnectionError: call 1 was refused"]

    class Short(Hunch):
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            return super().score(request, paths)[:-1]

    short, control = run(tmp_path / "short", scorer=Short())
    assert "sets of scores for" in control.error
    assert short.problems == ()


def test_rejected_nan_and_out_of_range_scores_are_left_out_and_counted(tmp_path: File) -> None:
    class Bad(Hunch):
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            found = super().score(request, paths)
            bad = [StepScores(rejected="too long", tokens=5), StepScores((float("nan"),)), StepScores((1.5,))]
            return [found[0], *bad, *found[4:]]

    done, control = run(tmp_path, 1, scorer=Bad())
    (problem,) = done.problems
    assert problem.tally.unscored == 3
    assert all(0 <= value <= 1 for row in problem.rows for value in row.scores)
    assert control.spent.prm_tokens > 0


class Lossy(Luck):
    """Loses one answer of its first call, as a fan-out over a network may."""

    def __init__(self, *, short: bool) -> None:
        super().__init__()
        self._short = short

    def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
        groups = super().extend(request, prefixes, n, seed)
        if len(self.calls) > 1:
            return groups
        lost = [] if self._short else [Drawn(Path(error="Timeout: gone", usage=Usage(requests=1)))]
        return [[*group[:-1], *lost] for group in groups]


@pytest.mark.parametrize(
    ("short", "cause"), [(False, "Timeout: gone"), (True, "2 answers were drawn in place of 3")]
)
def test_a_draw_that_lost_answers_is_done_again_as_a_whole_and_paid_for(
    tmp_path: File, short: bool, cause: str
) -> None:
    first, control = run(tmp_path, 1, sampler=Lossy(short=short))
    assert list(first.failed.values()) == [f"sampler: SamplerError: {cause}"]
    (note,) = journalled(tmp_path, "note")
    assert note["completion_tokens"] == control.spent.completion_tokens == 6
    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        assert spent(journal).completion_tokens == 6
    again, _ = run(tmp_path, 1)
    assert [p.rows for p in again.problems] == [p.rows for p in run(tmp_path / "whole", 1)[0].problems]


def checked_by(check: Callable[[Any, str], bool]) -> Callable[[World], World]:
    return lambda w: replace(w, verifier=lambda prompt: function_check(check, prompt.fields))


def odd_fails(_fields: Any, text: str) -> bool:
    if int(text.split()[1][-1]) % 2:
        message = "odd"
        raise ValueError(message)
    return "is 1" in text


def test_a_check_that_raises_is_never_a_wrong_and_is_asked_again(tmp_path: File) -> None:
    found, control = run(tmp_path, 3, change=checked_by(odd_fails), max_errors=1000)
    assert control.error == ""
    unjudged = sum(problem.tally.unjudged for problem in found.problems)
    assert unjudged > 0
    judged = [row for problem in found.problems for row in problem.rows if not row.done]
    assert any(row.rollouts < 4 for row in judged)
    assert all(0 < row.rollouts <= 4 for row in judged)
    causes = [cause for row in journalled(tmp_path, "right") for cause in row.get("causes", ())]
    assert causes
    assert set(causes) == {"the check raised ValueError: odd"}
    sampler = Luck()
    repaired, _ = run(tmp_path, 3, sampler=sampler, change=checked_by(lambda _fields, text: "is 1" in text))
    assert sampler.calls == []
    assert [p.rows for p in repaired.problems] == [p.rows for p in run(tmp_path / "whole", 3)[0].problems]


def test_a_check_out_of_order_ends_the_run_with_its_cause(tmp_path: File) -> None:
    def broken(_fields: Any, _text: str) -> bool:
        message = "no database"
        raise OSError(message)

    found, control = run(tmp_path, 9, change=checked_by(broken), max_errors=5)
    assert found.problems == ()
    assert found.stopped == "errors"
    assert "the check failed 5 times in a row, the last time: prompt" in control.error
    assert "OSError: no database" in control.error
    repaired, _ = run(tmp_path, 9)
    assert [p.rows for p in repaired.problems] == [p.rows for p in run(tmp_path / "whole", 9)[0].problems]


def test_a_bug_of_our_own_is_not_swallowed(tmp_path: File) -> None:
    def broken(_prompt: object) -> Any:
        message = "no such attribute"
        raise AttributeError(message)

    with pytest.raises(AttributeError, match="no such attribute"):
        run(tmp_path, change=lambda w: replace(w, verifier=broken))


def test_an_interrupt_finishes_and_keeps_what_is_under_way(tmp_path: File) -> None:
    sampler = Luck()

    def interrupted(_done: int, _failed: int) -> None:
        raise KeyboardInterrupt

    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        made = world(journal, sampler)
        with pytest.raises(KeyboardInterrupt):
            collect(prompts(30), made, SIZE, concurrency=2, watch=interrupted)
        assert made.control.reason == "interrupted"
    drawn = [row for row in journalled(tmp_path, "unit") if "answers" in row]
    assert 0 < len(drawn) == len(sampler.calls) < 30


def test_only_one_thread_at_a_time_uses_the_scorer(tmp_path: File) -> None:
    inside = threading.Semaphore(1)

    class Alone(Hunch):
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            assert inside.acquire(blocking=False)
            found = super().score(request, paths)
            inside.release()
            return found

    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        found = collect(prompts(8), world(journal, scorer=Alone()), SIZE, concurrency=8, watch=quiet)
    assert len(found.problems) == 8


def test_a_device_takes_one_problem_at_a_time(tmp_path: File) -> None:
    order: list[str] = []

    class Noted(Luck):
        def extend(self, request: Request, prefixes: Sequence[str], n: int, seed: int) -> list[list[Drawn]]:
            order.append(request.text)
            return super().extend(request, prefixes, n, seed)

    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        collect(prompts(4), world(journal, Noted(), concurrent=False), SIZE, concurrency=4, watch=quiet)
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes == 3


def test_a_promise_that_stands_in_the_way_is_waited_for() -> None:
    control = Control(100, Spent(), 2)
    control.begin(80)
    waiting = threading.Thread(target=control.begin, args=(50,))
    waiting.start()
    assert waiting.is_alive()
    control.end(80, Spent(completion_tokens=10))
    waiting.join(10)
    assert not waiting.is_alive()
    control.end(50, Spent(completion_tokens=20))
    with pytest.raises(Stopped, match="budget"):
        control.begin(71)


def test_control_begins_nothing_after_a_stop_and_keeps_the_first_reason() -> None:
    control = Control(10, Spent(prompt_tokens=4), 2)
    control.begin(6)
    control.end(6, Spent(completion_tokens=1))
    assert control.spent.generator == 5
    with pytest.raises(Stopped, match="budget"):
        control.begin(6)
    control.stop("interrupted")
    with pytest.raises(Stopped, match="budget"):
        control.begin(1)


def test_measuring_after_a_stop_ends_before_its_next_unit(tmp_path: File) -> None:
    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        made = world(journal)
        made.control.stop("interrupted")
        with pytest.raises(Stopped):
            measure(made, prompts(1)[0], SIZE)
    assert journalled(tmp_path, "unit") == []
