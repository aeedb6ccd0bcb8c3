"""A configuration becomes exactly the rules and parts that it says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware import (
    Middleware,
    Request,
    agreement,
    best_of_n,
    fixed,
    instance_adaptive,
    optimal_stopping,
    pass_through,
)
from adaptive_middleware.calibration import bundle
from adaptive_middleware.calibration.posthoc import Calibration, QuantileMap
from adaptive_middleware.config import Plan, load
from adaptive_middleware.config.build_strategy import SELECTIONS
from adaptive_middleware.errors import BundleMismatch, CalibrationError, CheckpointError, ConfigError
from adaptive_middleware.policy import Prices, early_stopping, score_distribution, weighted_agreement
from adaptive_middleware.strategies.select import (
    calibrated_argmax,
    calibrated_vote,
    execution_agreement,
    majority_vote,
)
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Verdict
from tests.config import parts

HERE = "tests.config.parts"
SCORES = {"kind": "python", "target": f"{HERE}:Scores"}


def plan(**keys: Any) -> Plan:
    return load({"version": 1, **keys}).build()


def strategy(prm: object = SCORES, **keys: Any) -> best_of_n:
    document = {"version": 1, "policies": {"default": {"strategy": "best-of-n", **keys}}}
    (rule,) = load({**document, "prm": prm} if prm else document).build().rules
    assert isinstance(rule.strategy, best_of_n)
    return rule.strategy


@pytest.mark.parametrize(
    ("written", "policy", "limit"),
    [
        ({"kind": "fixed", "n": 3}, fixed(3), 3),
        ({"kind": "instance-adaptive"}, instance_adaptive(0.99, 16), 16),
        ({"kind": "instance-adaptive", "confidence": 0.9, "cap": 40}, instance_adaptive(0.9, 40), 40),
        ({"kind": "agreement"}, agreement(0.95, 1), 16),
        ({"kind": "agreement", "confidence": 0.8, "window": 4}, agreement(0.8, 4), 16),
        ({"kind": "early-stopping"}, early_stopping(5), 16),
        ({"kind": "early-stopping", "window": 3}, early_stopping(3), 16),
        ({"kind": "score-distribution"}, score_distribution(0.95, 0.95, 3, 1, "mle", 0.8, 0.2, 0.1), 16),
        (
            {"kind": "score-distribution", "target": 0.9, "confidence": 0.99, "first": 2, "window": 4},
            score_distribution(0.9, 0.99, 2, 4),
            16,
        ),
        (
            {
                "kind": "score-distribution",
                "method": "map",
                "prior_mu": 0.5,
                "prior_sigma": 0.3,
                "prior_spread": 0.2,
            },
            score_distribution(method="map", prior_mu=0.5, prior_sigma=0.3, prior_spread=0.2),
            16,
        ),
        ({"kind": "optimal-stopping"}, optimal_stopping(0.95, 0.01, 1), 16),
        (
            {
                "kind": "optimal-stopping",
                "per_tokens": 500,
                "window": 4,
                "prices": {"prompt": 0.25, "call": 9},
            },
            optimal_stopping(window=4, per_tokens=500, prices=Prices(prompt=0.25, call=9)),
            16,
        ),
        ({"kind": "weighted-agreement"}, weighted_agreement(), 16),
        (
            {"kind": "weighted-agreement", "give_up": 0.1, "window": 2, "per_tokens": 500},
            weighted_agreement(0.1, 2, 500),
            16,
        ),
        (
            {"kind": "optimal-stopping", "target": 0.9, "give_up": 0.2, "window": 2},
            optimal_stopping(0.9, 0.2, 2),
            16,
        ),
        (
            {"kind": "optimal-stopping", "sharpness": 1.6, "per_tokens": 40},
            optimal_stopping(0.95, 0.01, 1, 1.6, 40),
            16,
        ),
    ],
)
def test_a_policy_is_built_as_written(written: dict[str, Any], policy: object, limit: int) -> None:
    built = strategy(policy=written)
    assert (built.policy, built.max_samples) == (policy, limit)


def test_the_defaults_of_the_configuration_are_those_of_the_policies() -> None:
    assert strategy(policy={"kind": "agreement"}).policy == agreement()
    assert strategy(policy={"kind": "early-stopping"}).policy == early_stopping()
    assert strategy(policy={"kind": "score-distribution"}).policy == score_distribution()
    assert strategy().policy == optimal_stopping()
    assert strategy() == best_of_n(optimal_stopping())


@pytest.mark.parametrize(
    ("written", "limit", "cap"),
    [({}, 16, 16), ({"max_samples": 9}, 9, 9), ({"cap": 30}, 30, 30), ({"max_samples": 9, "cap": 4}, 9, 4)],
)
def test_the_cap_and_the_limit_stand_in_for_each_other(written: dict[str, int], limit: int, cap: int) -> None:
    kind = {"kind": "instance-adaptive", **{key: n for key, n in written.items() if key == "cap"}}
    built = strategy(policy=kind, **{key: n for key, n in written.items() if key != "cap"})
    assert (built.max_samples, built.policy) == (limit, instance_adaptive(0.99, cap))


def test_selection_and_switches_are_built_as_written() -> None:
    assert {
        "argmax": calibrated_argmax,
        "calibrated-vote": calibrated_vote,
        "majority": majority_vote,
        "execution-agreement": execution_agreement,
    } == SELECTIONS
    built = strategy(select="majority", score_question=False)
    assert (built.select, built.score_question, built.score, built.verify) == (
        majority_vote,
        False,
        True,
        False,
    )


def test_without_a_process_reward_model_nothing_is_scored() -> None:
    assert strategy(prm=None).score is False
    assert plan().scorer is None


def rule_for(document: dict[str, Any], **request: Any) -> str:
    middleware = Middleware.from_config(document)
    return middleware.rule(Request("q", **request)).name


WHEN = {
    "version": 1,
    "policies": {
        "default": {"strategy": "best-of-n"},
        "both": {"strategy": "pass-through", "when": {"tags": ["a", "b"]}},
        "one": {"strategy": "pass-through", "when": {"tags": ["a"], "model": "o[0-9]*"}},
        "site": {"strategy": "pass-through", "when": {"call_site": "agents.*"}},
    },
}


@pytest.mark.parametrize(
    ("request_keys", "rule"),
    [
        ({}, "default"),
        ({"tags": frozenset("ab")}, "both"),
        ({"tags": frozenset("abc"), "model": "o5"}, "both"),
        ({"tags": frozenset("a")}, "default"),
        ({"tags": frozenset("a"), "model": "o5-mini"}, "one"),
        ({"tags": frozenset("a"), "model": "O5"}, "default"),
        ({"model": "o5"}, "default"),
        ({"call_site": "agents.planner"}, "site"),
        ({"call_site": "my.agents.planner"}, "default"),
        ({"call_site": "agents.x", "tags": frozenset("ab")}, "both"),
    ],
)
def test_the_first_rule_in_file_order_that_takes_a_call_wins(request_keys: dict[str, Any], rule: str) -> None:
    assert rule_for(WHEN, **request_keys) == rule


def test_calls_that_no_policy_takes_pass_through() -> None:
    (rule,) = plan().rules
    assert (rule.name, rule.strategy, rule.passes_through) == ("default", pass_through, True)


def test_limits_of_a_policy_replace_the_common_ones_one_by_one() -> None:
    built = plan(
        policies={
            "a": {"strategy": "pass-through", "when": {"model": "a"}, "budget": {"tokens": 7}},
            "b": {"strategy": "best-of-n", "when": {"model": "b"}, "budget": {"seconds": 2.5}},
        },
        budget={"per_call": {"tokens": 100, "seconds": 60}},
    )
    limits = [(rule.name, rule.tokens, rule.seconds) for rule in built.rules]
    assert limits == [("a", 7, 60), ("b", 100, 2.5), ("default", 100, 60)]
    assert not built.rules[-1].passes_through


def test_own_parts_are_made_with_their_arguments() -> None:
    built = plan(
        prm={**SCORES, "args": {"value": 0.9}},
        policies={
            "default": {
                "strategy": "best-of-n",
                "policy": {"kind": "python", "target": f"{HERE}:until", "args": {"n": 2}},
                "verifier": {"kind": "python", "target": f"{HERE}:Contains", "args": {"word": "yes"}},
            }
        },
    )
    assert (built.scorer, built.verifier) == (parts.Scores(0.9), parts.Contains("yes"))
    middleware = Middleware(rules=built.rules, scorer=built.scorer, verifier=built.verifier)
    outcome = middleware.run(Request("q"), ScriptedSampler([answer("no"), answer("yes")]))
    assert (outcome.chosen.text, len(outcome.considered), outcome.rule) == ("yes", 2, "default")


def test_every_policy_keeps_its_own_verifier() -> None:
    def checked(word: str, **when: Any) -> dict[str, Any]:
        part = {"kind": "python", "target": f"{HERE}:Contains", "args": {"word": word}}
        return {"strategy": "best-of-n", "verifier": part, **({"when": when} if when else {})}

    built = plan(
        policies={
            "a": checked("apple", model="a"),
            "default": checked("pear"),
            "none": {"strategy": "best-of-n", "when": {"model": "n"}},
        }
    )
    assert built.verifier is not None
    paths = [Answer(("an apple",)), Answer(("a pear",))]
    said = {model: built.verifier.verify(Request("q", model=model), paths) for model in ("a", "x", "n")}
    assert [verdict.passed for verdict in said["a"]] == [True, False]
    assert [verdict.passed for verdict in said["x"]] == [False, True]
    assert said["n"] == [Verdict(None, "no verifier")] * 2
    assert [rule.strategy.verify for rule in built.rules if isinstance(rule.strategy, best_of_n)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("prm", "at", "words"),
    [
        ('target: "no_such_package_here.x:f"', '"no', "'no_such_package_here.x' cannot be imported"),
        (f'target: "{HERE}:Score"', '"tests', "there is no such name"),
        (f'target: "{HERE}:SOMETHING"', '"tests', "a function or class to call"),
        (
            f'args: {{word: x}}, target: "{HERE}:Contains"',
            '"tests',
            "an object with the method 'score' is needed",
        ),
        (f'target: "{HERE}:Scores", args: {{values: 1}}', "{values", "do not fit"),
        (f'target: "{HERE}:Contains"', "prm", "do not fit"),
    ],
)
def test_an_own_part_that_cannot_be_made_is_located(prm: str, at: str, words: str, tmp_path: Path) -> None:
    line = f"prm: {{{prm}, kind: python}}"
    (tmp_path / "a.yaml").write_text(f"version: 1\n{line}\n")
    config = load(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=words) as caught:
        config.build()
    assert (caught.value.file, caught.value.line, caught.value.column) == (
        str(tmp_path / "a.yaml"),
        2,
        line.index(at) + 1,
    )


def test_a_policy_factory_that_makes_no_callable_is_refused() -> None:
    part = {"kind": "python", "target": f"{HERE}:Scores"}
    with pytest.raises(ConfigError, match=r"policies\.default\.policy\.target .* a factory of a callable"):
        strategy(policy=part)


def test_an_error_inside_the_users_own_factory_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="the user's own error"):
        plan(prm={"kind": "python", "target": f"{HERE}:broken"})


def calibration(folder: Path, prm: str) -> Calibration:
    curve = QuantileMap(("last",), (1.0,), 0.0, (0.0, 1.0), (0.0, 1.0), ((0.0, 0.8), (0.1, 1.0)))
    made = Calibration((0.1, 0.9), {"any": curve})
    folder.mkdir(exist_ok=True)
    bundle.save(bundle.Bundle(prm, "my-model", "0" * 64, made, {}), folder / "math.json")
    return made


def config_with_bundle(folder: Path, **keys: Any) -> Path:
    target = keys.pop("target", f"{HERE}:Scores")
    lines = ["version: 1", f'prm: {{kind: python, target: "{target}"}}', "calibration: c/math.json"]
    lines += [f"{key}: {value}" for key, value in keys.items()]
    (folder / "a.yaml").write_text("\n".join([*lines, "policies: {default: {strategy: best-of-n}}"]))
    return folder / "a.yaml"


@pytest.mark.parametrize(("target", "name"), [("Scores", "constant"), ("Anonymous", f"{HERE}:Anonymous")])
def test_a_bundle_beside_the_file_calibrates_all_policies(target: str, name: str, tmp_path: Path) -> None:
    made = calibration(tmp_path / "c", prm=name)
    file = config_with_bundle(tmp_path, target=f"{HERE}:{target}", generator="my-model")
    (rule,) = load(file).build().rules
    assert isinstance(rule.strategy, best_of_n)
    assert rule.strategy.calibrate == made


def test_a_bundle_of_another_process_reward_model_or_generator_is_refused_by_name(tmp_path: Path) -> None:
    calibration(tmp_path / "c", prm="another")
    with pytest.raises(BundleMismatch, match=r"'another'.*'constant'"):
        load(config_with_bundle(tmp_path)).build()
    calibration(tmp_path / "c", prm="constant")
    with pytest.raises(BundleMismatch, match=r"'my-model'.*'yours'"):
        load(config_with_bundle(tmp_path, generator="yours")).build()


def test_a_missing_bundle_is_an_error_at_build_only(tmp_path: Path) -> None:
    config = load(config_with_bundle(tmp_path))
    with pytest.raises(CalibrationError, match=r"math\.json"):
        config.build()


def test_calibration_none_takes_scores_at_their_word() -> None:
    document = {
        "version": 1,
        "prm": SCORES,
        "calibration": "none",
        "policies": {"default": {"strategy": "best-of-n"}},
    }
    assert load(document).build().rules[0].strategy == best_of_n(optimal_stopping())


def test_a_model_folder_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nprm: {kind: transformers, model: weights}\n")
    with pytest.raises(CheckpointError, match=str(tmp_path / "weights")):
        load(file).build()


def test_the_families_are_those_of_the_scorer() -> None:
    from adaptive_middleware.config.prms import TransformersPrm  # noqa: PLC0415
    from adaptive_middleware.scoring.local import FAMILIES  # noqa: PLC0415

    for family in FAMILIES:
        TransformersPrm.model_validate({"kind": "transformers", "model": "m", "family": family})
    listed = TransformersPrm.model_json_schema()["properties"]["family"]["anyOf"][0]["enum"]
    assert tuple(listed) == FAMILIES


def test_a_plan_can_be_pickled() -> None:
    built = load(WHEN).build()
    assert pickle.loads(pickle.dumps(built)) == built  # noqa: S301 - our own bytes
