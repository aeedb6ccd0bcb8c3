from math import exp, inf, log, log1p, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.calibration.features import (
    GROUPS,
    NAMES,
    PLAIN,
    carried,
    features,
    kind_of,
    map_name,
    subsets,
)
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.logprobs import summary

logprobs = st.lists(st.floats(-50, 0), min_size=3, max_size=30)


def odds(p: float) -> float:
    return log(p / (1 - p))


def test_a_path_without_steps_is_a_question_even_when_it_is_done() -> None:
    assert kind_of(0, True) == "question"


def test_features_are_logits_of_the_scores_and_token_probabilities_and_the_logarithm_of_the_length() -> None:
    found = features((0.9, 0.5, 0.7), 3, False, (log(0.2), log(0.8)), 99)
    expected = {
        "last": odds(0.7), "min": odds(0.5), "mean": odds(0.7), "steps": log1p(3), "done": 0.0,
        "logprob_min": odds(0.2), "logprob_mean": odds(0.8), "length": log(100),
    }  # fmt: skip
    assert found == pytest.approx(expected)
    assert tuple(found) == NAMES == (*PLAIN, *GROUPS["logprobs"], *GROUPS["length"])


def test_without_log_probabilities_or_a_length_their_features_are_absent() -> None:
    assert tuple(features((0.5,), 1, True, None)) == PLAIN


@pytest.mark.parametrize(
    ("steps", "tokens", "length", "groups"),
    [
        (2, (-0.5, -0.1), 30, ("logprobs", "length")),
        (2, None, 30, ("length",)),
        (2, (nan,), 0, ()),
        (2, (-0.5, -0.1), None, ("logprobs",)),
        (0, (-0.5, -0.1), 30, ()),
    ],
)
def test_a_path_carries_what_is_known_of_it_and_a_question_nothing(
    steps: int, tokens: tuple[float, ...] | None, length: int | None, groups: tuple[str, ...]
) -> None:
    assert carried(steps, tokens, length) == groups


def test_maps_are_tried_from_the_most_evidence_to_none() -> None:
    names = [map_name("finished", groups) for groups in subsets(GROUPS)]
    assert names == ["finished+logprobs+length", "finished+logprobs", "finished+length", "finished"]


def test_certain_scores_and_tokens_are_clamped_before_the_logarithm() -> None:
    found = features((0.0, 1.0), 2, True, (-inf, 0.0))
    bound = odds(1 - 1e-6)
    assert (found["min"], found["last"]) == pytest.approx((-bound, bound))
    assert (found["logprob_min"], found["logprob_mean"]) == pytest.approx((-bound, bound))


@given(logprobs)
def test_a_recorded_pair_gives_the_features_of_the_full_token_list(tokens: list[float]) -> None:
    pair = (min(tokens), sum(tokens) / len(tokens))
    whole, recorded = summary(tokens), summary(pair)
    assert whole is not None
    assert recorded is not None
    assert features((0.5,), 1, True, whole) == pytest.approx(features((0.5,), 1, True, recorded))


def test_two_descending_log_probabilities_are_tokens() -> None:
    assert summary((-0.1, -0.3)) == (-0.3, -0.2)


@pytest.mark.parametrize("tokens", [None, (), (nan, -1.0, -2.0), (-inf, -inf, -inf)])
def test_unusable_log_probabilities_count_as_absent(tokens: tuple[float, ...] | None) -> None:
    assert summary(tokens) is None


def test_an_impossible_token_does_not_swallow_the_mean() -> None:
    assert summary((-inf, -1.0, -2.0)) == (-inf, -1.5)


def test_the_least_likely_token_is_the_worst_one() -> None:
    assert features((0.5,), 1, True, summary((-3.0, -0.1, -0.2)))["logprob_min"] == pytest.approx(
        odds(exp(-3))
    )


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ((), "without scores"),
        ((0.5, nan), "step score 1 is nan"),
        ((1.2,), "step score 0 is 1.2"),
        ((-0.1,), "-0.1"),
    ],
)
def test_unusable_scores_are_named(scores: tuple[float, ...], says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        features(scores, len(scores), True, None)
