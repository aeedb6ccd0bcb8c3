"""The calibrated process reward model as a decision model of LangChain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("langchain_core.decisions", reason="decision models need langchain-core 1.8 or later")
pytest.importorskip("torch", reason="the scorers need torch: make test-decisions")

from langchain_core.decisions import Box, Choice, ClassifierRequest, Noul, NoulCriteria, Question, Score
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from adaptive_middleware.calibration import bundle
from adaptive_middleware.errors import BundleMismatch, ConfigError, NotAnswerable, ScorerError
from adaptive_middleware.lab import CALIBRATION
from adaptive_middleware.lab.problems import stories
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Estimate, Path, Request, StepScores
from langchain_adaptive import AdaptiveDecisionModel
from langchain_adaptive.decisions import IS_RIGHT, WILL_BE_RIGHT

LAB: dict[str, Any] = {"version": 1, "prm": {"kind": "lab"}, "calibration": "lab"}
RIGHT = Noul(instructions=IS_RIGHT)


@pytest.fixture(scope="module")
def lab() -> AdaptiveDecisionModel:
    return AdaptiveDecisionModel.from_config(LAB)


def halved(path: Path, scores: StepScores) -> Estimate:
    return Estimate(scores.values[-1] / 2, 0.0, 1.0)


def table(rule: Any, **fields: Any) -> AdaptiveDecisionModel:
    return AdaptiveDecisionModel(scorer=TableScorer(rule), calibrate=halved, **fields)


def asked(state: Any, **questions: Question) -> ClassifierRequest:
    return {"state": state, "questions": questions}


async def test_the_answer_is_the_calibrated_probability_of_the_bundle(lab: AdaptiveDecisionModel) -> None:
    problem = next(iter(stories("test")))
    answer = "\n".join(problem.steps)
    request = asked([HumanMessage(problem.question), AIMessage(answer)], right=RIGHT)
    scorer, calibration = load_scorer(lab_folder()), bundle.load(CALIBRATION).calibration
    path = Path(tuple(answer.splitlines(keepends=True)))
    (scores,) = scorer.score(Request(problem.question), [path])
    expected = calibration(path, scores).mean
    first, second = lab.invoke(request), await lab.ainvoke(request)
    assert first.nouls["right"].noul == pytest.approx(expected, abs=1e-5)
    assert second.nouls["right"].noul == pytest.approx(expected, abs=1e-5)
    assert first.model == lab.model == bundle.load(CALIBRATION).prm


def lab_folder() -> Any:
    from adaptive_middleware import lab  # noqa: PLC0415 - the fixture has the name

    return lab.PRM


def test_right_answers_are_likelier_than_wrong_ones_and_picked(lab: AdaptiveDecisionModel) -> None:
    for _, problem in zip(range(5), stories("test"), strict=False):
        right = "\n".join(problem.steps)
        wrong = right.replace(f"{problem.answer}", f"{problem.answer + 3}")
        which = Choice(
            instructions="Which?", criteria={"w": {"answer": wrong}, "r": {"answer": right}, "no": None}
        )
        found = lab.invoke(asked(problem.question, which=which)).choices["which"]
        assert found.choice == "r"
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.confidence > 0.5


def test_a_state_without_an_answer_gives_the_chance_of_one_that_will_be_drawn(
    lab: AdaptiveDecisionModel,
) -> None:
    will = Noul(instructions=WILL_BE_RIGHT)
    easy = lab.invoke(asked(next(s for s in stories("test") if s.level == 1).question, p=will))
    hard = lab.invoke(asked(next(s for s in stories("test") if s.level == 8).question, p=will))
    assert easy.nouls["p"].noul > hard.nouls["p"].noul


async def test_every_question_of_a_request_is_answered_from_one_batch_of_scores() -> None:
    scorer = TableScorer(lambda path: [0.8 if path.text == "4" else 0.2] * max(len(path.steps), 1))
    model = AdaptiveDecisionModel(scorer=scorer, calibrate=halved)
    which = Choice(instructions="", criteria={"four": {"answer": "4"}, "more": {"answer": "at least 5"}})
    route = Choice(instructions="", criteria={"fast": {"at_least": 0.6}, "strong": {"at_least": 0}})
    response = await model.ainvoke(asked("2 + 2?", right=RIGHT, which=which, route=route))
    (batch,) = scorer.seen
    assert [path.text for path in batch] == ["", "4", "at least 5"]
    assert response.nouls["right"].noul == pytest.approx(0.1)
    assert (response.choices["which"].choice, response.choices["route"].choice) == ("four", "strong")
    usage = response.usage
    assert usage == {"input_tokens": 4, "output_tokens": 0, "total_tokens": 4}  # a word is a token


async def test_batches_keep_their_order() -> None:
    model = table(lambda path: [len(path.text) / 10])
    requests = [asked({"question": "?", "answer": "x" * n}, p=RIGHT) for n in range(1, 7)]
    expected = [pytest.approx(n / 20) for n in range(1, 7)]
    assert [one.nouls["p"].noul for one in model.batch(requests)] == expected
    assert [one.nouls["p"].noul for one in await model.abatch(requests)] == expected


async def test_the_event_loop_goes_on_while_an_answer_is_scored() -> None:
    class Waiting:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            asyncio.run_coroutine_threadsafe(seen.wait(), loop).result(10)
            return [StepScores((0.5,))] * len(paths)

    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    model = AdaptiveDecisionModel(scorer=Waiting(), calibrate=halved)
    answering = asyncio.create_task(model.ainvoke(asked("2 + 2?", p=RIGHT)))
    await asyncio.sleep(0)
    seen.set()
    assert (await answering).nouls["p"].noul == 0.25


def test_one_model_works_in_two_event_loops_and_inside_a_running_one() -> None:
    model = table(0.5)
    for _ in range(2):
        assert asyncio.run(model.ainvoke(asked("2 + 2?", p=RIGHT))).nouls["p"].noul == 0.25

    async def sync_inside() -> Any:
        return model.invoke(asked("2 + 2?", p=RIGHT)).nouls["p"].noul

    assert asyncio.run(sync_inside()) == 0.25


def test_it_composes_as_any_runnable() -> None:
    chain: Any = (
        RunnableLambda(lambda text: asked(text, p=RIGHT)) | table(0.5) | (lambda r: r.nouls["p"].noul)
    )
    assert chain.invoke("2 + 2?") == 0.25


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (Noul(instructions="Is this tool call risky?"), "reads neither instructions nor criteria"),
        (Noul(instructions={"ask": IS_RIGHT}), "reads neither instructions nor criteria"),
        (Noul(instructions=IS_RIGHT, criteria=NoulCriteria(true="polite")), "without criteria"),
        (Choice(instructions="Which team?", criteria={"sales": "Pricing.", "other": None}), "between routes"),
        (Score(instructions="How good?", criteria=["bad", "good"]), "is a Score"),
        (Box(instructions="Where?"), "is a Box"),
        ({"type": "noul", "instructions": IS_RIGHT}, "is a dict"),
    ],
)
async def test_questions_that_it_cannot_answer_are_refused_and_nothing_is_scored(
    question: Any, why: str
) -> None:
    scorer = TableScorer(0.5)
    model = AdaptiveDecisionModel(scorer=scorer, calibrate=halved)
    with pytest.raises(NotAnswerable, match=why):
        model.invoke(asked("2 + 2?", fine=RIGHT, theirs=question))
    with pytest.raises(NotAnswerable, match=why):
        await model.ainvoke(asked("2 + 2?", fine=RIGHT, theirs=question))
    assert scorer.seen == []


def test_own_words_are_understood_once_they_are_declared(lab: AdaptiveDecisionModel) -> None:
    mine = Noul(instructions="Stimmt das?")
    model = AdaptiveDecisionModel.from_config(LAB, wordings=["Stimmt das?"])
    both = model.invoke(asked({"question": "2 + 2?", "answer": "4"}, mine=mine, theirs=RIGHT))
    assert both.nouls["mine"] == both.nouls["theirs"]
    with pytest.raises(NotAnswerable, match="add your words to `wordings`"):
        lab.invoke(asked("2 + 2?", mine=mine))


def test_scores_that_cannot_be_used_are_an_error_and_not_a_probability() -> None:
    with pytest.raises(ScorerError, match=r"the question alone: score 1.5 is not in \[0, 1\]"):
        table(1.5).invoke(asked("2 + 2?", p=RIGHT))


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        ({"calibration": None}, ConfigError, "raw scores are none"),
        ({"calibration": "none"}, ConfigError, "raw scores are none"),
        ({"prm": None, "calibration": None}, ConfigError, "there is no prm"),
        ({"generator": "another"}, BundleMismatch, "another"),
    ],
)
def test_what_gives_no_probabilities_is_refused_at_once(
    changed: dict[str, Any], error: type[Exception], why: str
) -> None:
    given = {name: value for name, value in {**LAB, **changed}.items() if value is not None}
    with pytest.raises(error, match=why):
        AdaptiveDecisionModel.from_config(given)
