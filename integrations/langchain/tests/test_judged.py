"""What a decision is about, and the choices that calibrated probabilities make of it."""

import sys
from itertools import product
from math import isclose, prod

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

import langchain_adaptive
from adaptive_middleware.errors import NotAnswerable, ScorerError
from adaptive_middleware.types import Estimate, Path, StepScores
from langchain_adaptive.asked import Asked, Plan, Right
from langchain_adaptive.choices import Answers, Routes, reaches, read_criteria
from langchain_adaptive.judged import judged, text_path

QUESTION = HumanMessage("2 + 2?")
CALL = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 2, "b": 2}, "id": "1"}])


def estimate(mean: float) -> Estimate:
    return Estimate(mean, mean, mean)


@pytest.mark.parametrize(
    "state",
    [
        "2 + 2?",
        QUESTION,
        [QUESTION],
        (SystemMessage("Be brief."), QUESTION),
        {"question": "2 + 2?"},
        {"messages": [{"role": "user", "content": "2 + 2?"}], "adaptive_difficulty": [0.5]},
    ],
)
def test_a_state_without_an_answer_is_judged_as_the_question_alone(state: object) -> None:
    found = judged(state)
    assert (found.request.text, found.answer) == ("2 + 2?", None)
    assert found.path == Path(done=False)


@pytest.mark.parametrize(
    "state",
    [
        [QUESTION, AIMessage("2 + 2 = 4\n\n4")],
        [SystemMessage("Be brief."), QUESTION, AIMessage("2 + 2 = 4\n\n4")],
        {"question": "2 + 2?", "answer": "2 + 2 = 4\n\n4"},
        {"messages": [QUESTION, {"role": "assistant", "content": "2 + 2 = 4\n\n4"}]},
    ],
)
def test_the_models_last_message_is_the_answer_step_by_step(state: object) -> None:
    found = judged(state)
    assert found.request.text == "2 + 2?"
    assert found.path.steps == ("2 + 2 = 4\n\n", "4")
    assert found.path.done


def test_tool_calls_are_judged_as_the_last_step_and_tool_results_as_part_of_the_question() -> None:
    assert judged([QUESTION, CALL]).path.steps == ('add({"a": 2, "b": 2})',)
    after = judged([QUESTION, CALL, ToolMessage("4", tool_call_id="1")])
    assert after.answer is None
    assert after.request.text == 'human: 2 + 2?\n\nai: add({"a": 2, "b": 2})\n\ntool: 4'


def test_tokens_of_an_answer_count_unless_they_are_those_of_all_its_samples() -> None:
    usage = {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43}
    plain = AIMessage("4", usage_metadata=usage)
    ours = AIMessage("4", usage_metadata=usage, response_metadata={"adaptive": {"samples": 8}})
    assert judged([QUESTION, plain]).path.usage.completion_tokens == 40
    assert judged([QUESTION, ours]).path.usage.completion_tokens == 0


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (None, "the state is a NoneType"),
        ({"q": 1, "answer": "4"}, r"the state is a mapping with \['answer', 'q'\]"),
        ({"question": "2 + 2?", "answer": "4", "rubric": "x"}, "the state is a mapping with"),
        ([], "no question"),
        ("  ", "no question"),
        (AIMessage("4"), "no question before its answer"),
        ([SystemMessage("Be brief."), AIMessage("4")], "no question before its answer"),
        ([QUESTION, AIMessage("  ")], "neither text nor tool calls"),
        (["2 + 2?"], "a str where a message should be"),
        ([QUESTION, {"role": "nobody", "content": "4"}], "no message"),
        ([{"content": "4"}], "no message"),
    ],
)
def test_a_state_without_a_question_is_refused_with_the_forms_that_work(state: object, why: str) -> None:
    with pytest.raises(NotAnswerable, match=why):
        judged(state)


CHANCES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=4)


@settings(max_examples=60)
@given(chances=CHANCES, neither=st.booleans())
@example(chances=[0.2, 0.3], neither=True)
def test_the_right_answer_is_likely_as_counted_over_all_worlds_with_at_most_one(
    chances: list[float], neither: bool
) -> None:
    labels = [f"answer {i}" for i in range(len(chances))]
    masses = dict.fromkeys([*labels, "neither"] if neither else labels, 0.0)
    for world in product([True, False], repeat=len(chances)):
        mass = prod(p if right else 1 - p for p, right in zip(chances, world, strict=True))
        label = labels[world.index(True)] if sum(world) == 1 else "neither" if not any(world) else None
        if label in masses:
            masses[label] += mass
    total = sum(masses.values())
    found = Answers(dict.fromkeys(labels, "4"), "neither" if neither else None)
    chosen = found.choose([estimate(p) for p in chances])
    assert chosen.probabilities == pytest.approx({k: v / total for k, v in masses.items()}, rel=1e-6)
    assert chosen.probabilities[chosen.label] == max(chosen.probabilities.values())
    alone = dict(zip(labels, chances, strict=True))
    assert isclose(chosen.confidence, alone.get(chosen.label, prod(1 - p for p in chances)))


def test_certain_answers_leave_a_distribution() -> None:
    chosen = Answers({"a": "4", "b": "5", "c": "6"}).choose([estimate(1.0), estimate(0.0), estimate(1.0)])
    assert chosen.label == "a"
    assert chosen.probabilities == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5}, abs=1e-8)
    assert chosen.confidence == 1.0


WIDE = Estimate(0.6, 0.2, 0.9, ((0.1, 0.2), (0.5, 0.6), (0.9, 0.9)))


def test_a_route_is_the_highest_need_that_the_mean_reaches_with_the_mass_of_its_band() -> None:
    routes = Routes({"strong": 0.0, "fast": 0.8, "middle": 0.6})
    chosen = routes.choose([WIDE])
    beyond = 1 - (0.5 + 0.4 * (0.8 - 0.6) / (0.9 - 0.6))  # linear from (0.6, 50 %) to (0.9, 90 %)
    assert chosen.label == "middle"
    assert chosen.probabilities == pytest.approx({"strong": 0.5, "fast": beyond, "middle": 0.5 - beyond})
    assert list(chosen.probabilities) == ["strong", "fast", "middle"]
    assert chosen.confidence == chosen.probabilities["middle"]


@given(mean=st.floats(0, 1), cut=st.floats(0.01, 1))
@settings(max_examples=50)
def test_routes_share_all_the_mass(mean: float, cut: float) -> None:
    low, high = mean * 0.5, mean + (1 - mean) * 0.5
    chosen = Routes({"rest": 0.0, "sure": cut}).choose([Estimate(mean, low, high)])
    assert sum(chosen.probabilities.values()) == pytest.approx(1)
    assert min(chosen.probabilities.values()) >= -1e-12
    assert chosen.label == ("sure" if mean >= cut else "rest")


def test_without_quantiles_the_lower_and_the_upper_one_are_enough() -> None:
    assert reaches(Estimate(0.5, 0.2, 0.8), 0.5) == pytest.approx(0.5)
    assert reaches(estimate(0.7), 0.7) == pytest.approx(0.9)  # everything up to the 10 % quantile lies below


def test_criteria_are_answers_or_routes() -> None:
    assert read_criteria({"a": {"answer": "4"}, "b": {"answer": "5"}}) == Answers({"a": "4", "b": "5"})
    assert read_criteria({"a": {"answer": "4"}, "no": None}) == Answers({"a": "4"}, "no")
    assert read_criteria({"fast": {"at_least": 0.5}, "strong": {"at_least": 0}}) == Routes(
        {"fast": 0.5, "strong": 0.0}
    )


@pytest.mark.parametrize(
    ("criteria", "why"),
    [
        ({"fast": "Simple tasks.", "strong": "Hard tasks."}, "chooses between answers"),
        ({"a": None}, "chooses between answers"),
        ({"a": {"answer": "4"}, "b": None, "c": None}, "chooses between answers"),
        ({"a": {"answer": "4"}, "b": {"at_least": 0}}, "chooses between answers"),
        ({"a": {"answer": 4}}, "chooses between answers"),
        ({"a": {"answer": "4", "weight": 2}}, "chooses between answers"),
        ({"a": {"answer": " "}}, "'a' has no text"),
        ({"a": {"answer": "2 + 2 = 4"}, "b": {"answer": "It is 4."}}, "'a' and 'b' are the same answer"),
        ({"a": {"at_least": 0.5}}, "one of them 0"),
        ({"a": {"at_least": 0}, "b": {"at_least": 1.5}}, "chances in"),
        ({"a": {"at_least": 0}, "b": {"at_least": float("nan")}}, "chances in"),
        ({"a": {"at_least": 0}, "b": {"at_least": 0.0}}, "no two alike"),
    ],
)
def test_other_criteria_are_refused_with_the_forms_that_work(criteria: dict[str, object], why: str) -> None:
    with pytest.raises(NotAnswerable, match=why):
        read_criteria(criteria)


def test_a_choice_between_answers_beside_the_states_own_answer_is_refused() -> None:
    with pytest.raises(NotAnswerable, match="leave it out"):
        Answers({"a": "4"}).paths(judged([QUESTION, AIMessage("4")]))


def test_each_thing_is_scored_once_and_goes_to_every_question_that_needs_it() -> None:
    plans: dict[str, Plan] = {
        "right": Right(),
        "route": Routes({"any": 0.0}),
        "which": Answers({"a": "4", "b": "5"}),
    }
    asked = Asked.of(judged("2 + 2?"), plans)
    assert asked.paths == (Path(done=False), text_path("4"), text_path("5"))
    scores = [StepScores((p,)) for p in (0.5, 0.9, 0.1)]
    estimates = asked.estimates(scores, lambda _, one: estimate(one.values[0]))
    means = {name: [one.mean for one in asked.of_plan(plan, estimates)] for name, plan in plans.items()}
    assert means == {"right": [0.5], "route": [0.5], "which": [0.9, 0.1]}
    with pytest.raises(ScorerError, match="no usable score of the answer '5': too long"):
        asked.estimates(
            [*scores[:2], StepScores(rejected="too long")], lambda _, one: estimate(one.values[0])
        )
    with pytest.raises(ScorerError, match="no usable score of the question alone: too long"):
        asked.estimates([StepScores(rejected="too long"), *scores[1:]], lambda *_: estimate(0.5))


def test_a_request_without_questions_is_refused() -> None:
    with pytest.raises(NotAnswerable, match="no questions"):
        Asked.of(judged("2 + 2?"), {})


def test_a_langchain_core_without_decision_models_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_core.decisions", None)
    monkeypatch.delitem(sys.modules, "langchain_adaptive.decisions", raising=False)
    with pytest.raises(
        ModuleNotFoundError, match=r"AdaptiveDecisionModel needs langchain-core 1\.8 or later: pip"
    ):
        _ = langchain_adaptive.AdaptiveDecisionModel
