"""Rules that read answers step by step, replayed by the ordinary engine; what has not been read is not paid."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.replay import recorded_answer, replay, take
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.select import Selection
from bench.allocation.policies import Setting


def read(
    one: Reel, order: Sequence[int], select: Selection, setting: Setting, question_tokens: float
) -> tuple[float, ...]:
    """The figures of one call under a setting with `keep`, in the order of `film.FIGURES`.

    Answers are opened one at a time, and each pays the question's tokens.
    """
    if setting.keep is None:
        message = f"{setting.label!r} reads whole answers"
        raise ValueError(message)
    strategy = prune(
        setting.policy,
        setting.keep,
        setting.cap,
        one.calibrate,
        select,
        recorded_answer,
        score_question=bool(one.tape.question.values),
    )
    outcome = replay(one.tape, strategy, order)
    drawn = len(outcome.considered) + len(outcome.dropped)
    usage = outcome.usage
    right = float(take(outcome.chosen).correct)
    return (right, drawn, usage.completion_tokens, drawn * question_tokens, usage.prm_tokens)
