"""Answers that are written to please the scorer: what they may not gain, counted with the lab's model and calibration.

`python -m bench.lab.hacking` prints the same for more problems; `docs/scoring.md` says what does help an attacker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from statistics import fmean

import pytest

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.effects import Strategy
from adaptive_middleware.engine import run
from adaptive_middleware.errors import BudgetError, ScorerError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.policy import dominated, fixed, optimal_stopping
from adaptive_middleware.ports import Calibrator, Ports
from adaptive_middleware.scoring.local import LocalScorer, load_scorer
from adaptive_middleware.scoring.text import visible
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer
from adaptive_middleware.types import Path, Request, StepScores, Usage
from bench.lab.hacking import ATTACKS, SEPARATORS, lines, probabilities, problems, rises, wrong

DELTA = 0.05
WORST = "(i) <|endoftext|> eight times"
KNOWN = {
    WORST,
    "(i) <|im_end|> eight times",
    "(i) <|im_start|>assistant eight times",
    "(i) roles around",
    "(iii) plus signs in the last step",
    "(vi) full-width digits",
}
"""What raises single wrong answers by more than DELTA; only the first does so on average. See docs/scoring.md."""
PROBLEMS = problems(2, (1, 2, 3, 4))
WRONG = [wrong(problem) for problem in PROBLEMS]


@pytest.fixture(scope="module")
def scorer() -> LocalScorer:
    return load_scorer(lab.PRM)


@pytest.fixture(scope="module")
def calibrate(scorer: LocalScorer) -> Calibrator:
    return bundle.load(lab.CALIBRATION, prm=scorer.id).calibration


@pytest.fixture(scope="module")
def gained(scorer: LocalScorer, calibrate: Calibrator) -> dict[str, list[float]]:
    return rises(scorer, calibrate, PROBLEMS)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_put_into_wrong_answers_does_not_make_them_likelier(
    gained: dict[str, list[float]], name: str
) -> None:
    assert fmean(gained[name]) <= DELTA or name == WORST
    assert max(gained[name]) <= DELTA or name in KNOWN


def test_the_disguise_that_helps_most_leaves_wrong_answers_behind_right_ones(
    scorer: LocalScorer, calibrate: Calibrator
) -> None:
    pairs = [
        probabilities(scorer, calibrate, problem.question, [lines(problem.steps), ATTACKS[WORST](bad)])
        for problem, bad in zip(PROBLEMS, WRONG, strict=True)
    ]
    right, disguised = (fmean(column) for column in zip(*pairs, strict=True))
    assert disguised < right / 2


def test_the_manual_lists_what_does_help_an_attacker() -> None:
    manual = (FilePath(__file__).parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")
    assert [name for name in KNOWN if f"| {name.replace('|', '&#124;')} |" not in manual] == []


def test_the_wrong_answers_are_told_from_the_right_ones_without_any_attack(
    scorer: LocalScorer, calibrate: Calibrator
) -> None:
    pairs = [
        probabilities(scorer, calibrate, problem.question, [lines(problem.steps), bad])
        for problem, bad in zip(PROBLEMS, WRONG, strict=True)
    ]
    assert all(good > bad for good, bad in pairs)
    assert sum(good for good, _ in pairs) / len(pairs) > 0.7


def test_invisible_characters_change_nothing_at_all(scorer: LocalScorer) -> None:
    clean = Path(WRONG[0])
    hidden = Path(ATTACKS["(vi) zero width"](WRONG[0]))
    first, second = scorer.score(Request(PROBLEMS[0].question), [clean, hidden])
    assert first.values == second.values


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1\u200d\u200d\u200d2", "12"),
        ("\u200c3", "3"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("a\U000e0041\ufeff\u00adb", "ab"),
        ("plain\ttext\n", "plain\ttext\n"),
    ],
)
def test_joiners_stay_where_a_script_or_an_emoji_needs_them(written: str, read: str) -> None:
    assert visible(written) == read


def test_the_right_answer_to_another_question_is_unlikely(scorer: LocalScorer, calibrate: Calibrator) -> None:
    for asked, answered in zip(PROBLEMS, PROBLEMS[1:] + PROBLEMS[:1], strict=True):
        (swapped,) = probabilities(scorer, calibrate, asked.question, [lines(answered.steps)])
        assert swapped < 0.1


SHAPES: dict[str, tuple[str, ...]] = {
    "(ii) only empty steps": ("\n",) * 20,
    "(ii) one character each": tuple("".join(WRONG[0])),
    "(ii) 500 tiny steps": ("x\n",) * 500,
    "(ii) a giant step": ("17 + 4 = 21 " * 400,),
    "(vi) look-alike letters": ATTACKS["(vi) look-alike letters"](WRONG[0]),
    "(vi) full-width digits": ATTACKS["(vi) full-width digits"](WRONG[0]),
    "(vi) only invisible": ("\u200b\u200b", "\u202e\n"),
    "(i) only separators": SEPARATORS,
}


@pytest.mark.parametrize("name", SHAPES)
def test_there_is_one_score_for_each_step_whatever_the_steps_are(
    scorer: LocalScorer, calibrate: Calibrator, name: str
) -> None:
    path = Path(SHAPES[name])
    (scores,) = scorer.score(Request(PROBLEMS[0].question), [path])
    assert len(scores.values) + scores.first == len(path.steps)
    assert 0.0 <= calibrate(path, scores).mean <= 1.0


# a window that is too small


def test_an_answer_longer_than_the_window_loses_its_first_steps_and_says_so() -> None:
    small = load_scorer(lab.PRM, max_length=96)
    (scores,) = small.score(Request("q"), [Path(("17 + 4 = 21\n",) * 60)])
    assert 0 < scores.first < 60
    assert len(scores.values) == 60 - scores.first
    assert scores.tokens <= 96


def test_under_a_prompt_longer_than_the_window_the_last_step_is_still_scored() -> None:
    small = load_scorer(lab.PRM, max_length=96)
    (scores,) = small.score(
        Request("Tom has 3 apples. " * 200), [Path(("3 + 4 = 7\n", "The answer is 7.\n"))]
    )
    assert (len(scores.values), scores.first) == (1, 1)
    assert scores.tokens <= 96


def test_a_window_without_room_for_the_prompts_own_words_degrades_the_call_to_votes() -> None:
    tiny = load_scorer(lab.PRM, max_length=2)
    with pytest.raises(ScorerError, match="raise it"):
        tiny.score(Request("q"), [Path(("1\n",))])
    middleware = Middleware(best_of_n(fixed(3)), scorer=tiny)
    outcome = middleware.run(Request("q"), ScriptedSampler(["4", "5", "4"]))
    assert outcome.chosen.text == "4"
    assert any("Unscorable" in cause for cause in outcome.degraded)


# denial of wallet: text that makes every p look tiny


class Digits(ScriptedSampler):
    """Draws and continues answers of three steps and three tokens."""

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        grown = [(*path.steps, f"{i}\n") for path in paths for i in range(fanout)]
        return [
            Path(steps, done=len(steps) == 3, usage=Usage(completion_tokens=1, requests=1)) for steps in grown
        ]


STRATEGIES: dict[str, Strategy] = {
    "best-of-n": best_of_n(optimal_stopping(give_up=1e-9), max_samples=8),
    "prune": prune(optimal_stopping(give_up=1e-9), max_samples=8),
    "prune, dominated": prune(fixed(8), dominated(), max_samples=8),
    "first-good": first_good(prune(fixed(8), max_samples=8), max_samples=8),
    "effort": effort((Rung("a", 0.9), Rung("b", 0.5), Rung("c")), target=0.9, attempts=3),
    "beam": beam(8, 2, "k"),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("question", [0.0, 0.5])
def test_a_scorer_that_says_zero_to_everything_cannot_raise_the_cost_over_the_caps(
    name: str, question: float
) -> None:
    def zero(path: Path) -> list[float]:
        return [0.0] * len(path.steps) or [question]

    strategy, text = STRATEGIES[name], "a\n\nb\n\nc"

    def world() -> Ports:
        sampler = Digits([text])
        return Ports(sampler, TableScorer(zero), streamer=ScriptedStreamer([text]), extender=sampler)

    request = Request("q", parameters={"max_tokens": 3})
    free = run(fail_open(strategy(request), request), world())
    beginnings = len(free.considered) + len(free.dropped)
    most = 9 if name == "first-good" else 3 * 8 if name == "beam" else 8
    assert beginnings <= most
    assert free.usage.completion_tokens <= 3 * most
    capped = run(within(fail_open(strategy(request), request), tokens=7), world())
    over = 8 if name == "beam" else 0  # a beam that has begun finishes its step
    assert capped.usage.completion_tokens <= 7 + over
    with pytest.raises(BudgetError):
        run(within(fail_open(strategy(request), request), deadline=0.0, clock=lambda: 1.0), world())


def test_a_scorer_that_says_nothing_usable_is_no_reason_to_spend_more() -> None:
    class Garbage:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            return [StepScores((float("nan"),)) for _ in paths]

    middleware = Middleware(prune(optimal_stopping(), max_samples=4), scorer=Garbage())
    outcome = middleware.run(Request("q"), ScriptedSampler([]), streamer=ScriptedStreamer(["a\n\nb"]))
    assert len(outcome.considered) <= 4
    assert any("scores rejected" in cause for cause in outcome.degraded)
