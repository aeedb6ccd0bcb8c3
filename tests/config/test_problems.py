"""What is wrong is said in words that lead to the fix, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.config import check, load
from adaptive_middleware.config.document import Problem
from adaptive_middleware.errors import ConfigError

LAB = {"kind": "lab"}


def problems(document: dict[Any, Any]) -> list[str]:
    result = check(document)
    assert isinstance(result, tuple), "the document is valid"
    return [problem.message for problem in result]


def policy(**keys: object) -> dict[str, object]:
    return {"version": 1, "prm": LAB, "policies": {"default": {"strategy": "best-of-n", **keys}}}


def test_the_error_of_the_manual_reads_as_the_manual_says(tmp_path: Path) -> None:
    (tmp_path / "adaptive.yaml").write_text(
        "version: 1\npolicies:\n  default:\n    strategy: best-of-n\n    # no more\n\n    max_sample: 8\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "adaptive.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/adaptive.yaml:7:5: unknown key 'max_sample' in policies.default; did you mean 'max_samples'? "
        "Valid: 'when', 'budget', 'mode', 'strategy', 'policy', 'max_samples', 'select', 'answer', 'score_question', 'verifier', 'verifier_decides', 'tools'"
    )


def test_all_problems_are_reported_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "prm: {kind: transformer}\n"
        "version: 2\n"
        "policies:\n"
        "  default: {strategy: best-of-n, max_samples: 010, selekt: majority}\n"
        "  a: {strategy: best-of-n, policy: {kind: fixed, n: 0}}\n"
        "calibration: 3\n"
        "budget: {per_run: {tokens: 5}}\n"
        "version: 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert (caught.value.line, caught.value.column) == (1, 13)
    places = [line.removeprefix(f"{file}:").split(": ")[0] for line in str(caught.value).splitlines()]
    assert places == ["1:13", "4:47", "4:52", "5:3", "5:53", "6:14", "7:10", "8:1"]
    assert all(line.startswith(f"{file}:") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"version": 1, "polices": {}}, "unknown key 'polices'; did you mean 'policies'?"),
        ({"version": 1, "zzz": {}}, "unknown key 'zzz'; valid: 'version', 'prm', 'calibration',"),
        (policy(max_sample=3), "unknown key 'max_sample' in policies.default; did you mean 'max_samples'?"),
        (policy(**{"max-samples": 3}), "did you mean 'max_samples'?"),
        (policy(policy={"kind": "fixd"}), "policies.default.policy.kind is 'fixd'; did you mean 'fixed'?"),
        (policy(policy={"kind": "optimal_stopping"}), "did you mean 'optimal-stopping'?"),
        (policy(policy={"kind": "fixed", "m": 3, "n": 2}), "unknown key 'm' in policies.default.policy; "),
        (
            policy(policy={"kind": "fixed"}),
            "key 'n' is missing in policies.default.policy; add it: Samples of",
        ),
        (
            policy(policy={"n": 3}),
            "key 'kind' is missing in policies.default.policy; add it: one of 'agreement'",
        ),
        (
            policy(select="argmx"),
            "policies.default.select is 'argmx'; did you mean 'argmax'? Valid: 'argmax',",
        ),
        (
            policy(verifier={"kind": "pytest", "target": "a:b"}),
            "policies.default.verifier.kind is 'pytest'; valid: 'python'",
        ),
        ({"version": 1, "policies": {"default": {}}}, "key 'strategy' is missing in policies.default"),
        (
            {"version": 1, "policies": {"default": {"strategy": "guess"}}},
            "'beam', 'best-of-n', 'effort', 'first-good',",
        ),
        ({"version": 1, "policies": []}, "policies is a list, but must be a mapping"),
        ({"version": 1, "policies": {"default": 3}}, "policies.default is 3, but must be a mapping"),
        ({"version": 2}, "version is 2, but must be at most 1"),
        ({"version": 1.0}, "version is 1.0, but must be a whole number"),
        ({"version": True}, "version is the boolean true, but must be a whole number"),
        ({}, "key 'version' is missing; add it: Version of this schema"),
        (policy(policy={"kind": "agreement", "confidence": 1}), "confidence is 1, but must be less than 1"),
        (policy(policy={"kind": "agreement", "confidence": 0.0}), "is 0.0, but must be greater than 0"),
        (policy(policy={"kind": "agreement", "confidence": "high"}), "is 'high', but must be a number"),
        (policy(policy={"kind": "agreement", "confidence": float("nan")}), "is nan, which is not a finite"),
        (policy(max_samples=0), "policies.default.max_samples is 0, but must be at least 1"),
        (policy(max_samples=10**30), "is a huge number, but must be at most 1024"),
        (policy(max_samples={}), "policies.default.max_samples is a mapping, but must be a whole number"),
        (policy(score_question=1), "policies.default.score_question is 1, but must be true or false"),
        (policy(select="x" * 200), "x..."),
        (
            {"version": 1, "budget": {"per_day": {"usd": 5}}},
            "budget.per_day is an entry of the list 'budgets', with window: day; move it",
        ),
        ({"version": 1, "budget": {"per_run": 7}}, "budget.per_run is an entry of the list 'budgets'"),
        ({"version": 1, "budget": {"per_cal": 7}}, "did you mean 'per_call'?"),
        ({"version": 1, "prm": {"kind": "python", "target": "a.b"}}, "must be 'package.module:name'"),
        ({"version": 1, "prm": {"kind": "python", "target": ":f"}}, "must be 'package.module:name'"),
        ({"version": 1, "prm": {"kind": "transformers", "model": ""}}, "prm.model is empty"),
        (
            {"version": 1, "prm": {"kind": "transformers", "model": "m", "device": "GPU"}},
            "must be cpu, mps, cuda",
        ),
        (
            {"version": 1, "prm": {"kind": "transformers", "model": "m", "sha256_files": {"a": "0"}}},
            "prm.sha256_files.a is '0', but must be 64 digits",
        ),
        (
            {"version": 1, "policies": {"": {"strategy": "pass-through", "when": {"model": "m"}}}},
            "a name in policies",
        ),
        ({"version": 1, 7: 3}, "key 7 in the configuration is not text"),
        ({"version": 1, "policies": {None: 3}}, "key None in policies is not text"),
    ],
)
def test_one_mistake_is_one_problem_with_its_remedy(document: dict[Any, Any], words: str) -> None:
    assert len(problems(document)) == 1
    assert words in problems(document)[0]


def rules(**policies: dict[str, object]) -> dict[str, object]:
    return {"version": 1, "prm": LAB, "policies": policies}


PASS: dict[str, object] = {"strategy": "pass-through"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            rules(default={**PASS, "when": {"model": "x"}}),
            "policies.default has a 'when', but it is for all other",
        ),
        (rules(a=PASS), "key 'when' is missing in policies.a; add it, or name the policy 'default'"),
        (rules(a={**PASS, "when": {}}), "policies.a.when has no condition; give tags, model or call_site"),
        (rules(a={**PASS, "when": {"tags": []}}), "policies.a.when.tags is empty"),
        (
            rules(a={**PASS, "when": {"tags": [3]}}),
            "policies.a.when.tags[0] is 3, but must be text; quote it",
        ),
        (rules(a={**PASS, "when": {"tags": "x"}}), "policies.a.when.tags is 'x', but must be a list"),
        (
            rules(a={**PASS, "when": {"model": "o*"}}, b={**PASS, "when": {"model": "o*", "tags": ["x"]}}),
            "policies.b.when never applies: 'a' above takes all of these calls",
        ),
        (
            policy(max_samples=4, policy={"kind": "fixed", "n": 8}),
            "policies.default.policy.n is 8, more than max_samples",
        ),
        (
            policy(max_samples=4, policy={"kind": "instance-adaptive", "cap": 5}),
            "policy.cap is 5, more than max_samples",
        ),
        (
            policy(max_samples=4, policy={"kind": "early-stopping"}),
            "policies.default.policy.window is 5, more than max_samples (4) allows; lower it, or raise max_samples",
        ),
        (
            policy(policy={"kind": "optimal-stopping", "prices": {"prompt": 0.25}}),
            "are in completion tokens, but give_up is the price of a sample; add per_tokens",
        ),
        (
            policy(policy={"kind": "optimal-stopping", "per_tokens": 500, "prices": {"promt": 0.25}}),
            "did you mean 'prompt'?",
        ),
        (
            policy(policy={"kind": "early-stopping", "window": 17}),
            "policy.window is 17, more than max_samples (16) allows",
        ),
        (
            policy(max_samples=2, policy={"kind": "score-distribution"}),
            "policy.first is 3, more than max_samples (2) allows",
        ),
        (
            policy(policy={"kind": "score-distribution", "prior_mu": 0.5}),
            "policy.prior_mu is given, but method 'mle' has no prior; remove it, or use method: map",
        ),
        (
            policy(score_question=False, policy={"kind": "instance-adaptive"}),
            "score_question is false, but 'instance-adaptive' decides from the question's score",
        ),
        ({"version": 1, "calibration": "x.json"}, "calibration is given, but there are no scores"),
        (
            {
                "version": 1,
                "prm": {
                    "kind": "transformers",
                    "model": "m",
                    "sha256": "0" * 64,
                    "sha256_files": {"a": "0" * 64},
                },
            },
            "prm.sha256 and prm.sha256_files cannot both be given",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused(document: dict[str, Any], words: str) -> None:
    assert [words in message for message in problems(document)] == [True]


@pytest.mark.parametrize("kind", ["instance-adaptive", "score-distribution"])
def test_policies_of_scores_without_a_process_reward_model_are_refused(kind: str) -> None:
    document = policy(policy={"kind": kind})
    del document["prm"]
    (message,) = problems(document)
    assert f"policy.kind is {kind!r}, which decides from scores; add 'prm', or use 'agreement'" in message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"tags": ["x", "y"]}, {"tags": ["x"]}),
        ({"model": "o*"}, {"tags": ["x"]}),
        ({"model": "o*"}, {"model": "o1*"}),
        ({"call_site": "a"}, {"call_site": "b"}),
    ],
)
def test_a_policy_that_can_apply_is_not_called_shadowed(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    load(rules(a={**PASS, "when": first}, b={**PASS, "when": second}))


def test_a_problem_knows_its_key_in_words() -> None:
    result = check(policy(policy={"kind": "fixed", "n": 0}))
    assert isinstance(result, tuple)
    assert [problem.key for problem in result] == ["policies.default.policy.n"]
    assert Problem("x").key == ""


def test_a_mapping_that_holds_itself_is_refused() -> None:
    endless: dict[str, object] = {"version": 1}
    endless["args"] = endless
    (message, *_) = problems(endless)
    assert "nested deeper than 32 levels" in message


def test_a_wrong_file_leaves_nothing_half_applied(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\npolicies: {default: {strategy: best-of-n, max_samples: 0}}\n"
    )
    assert not hasattr(check(tmp_path / "a.yaml"), "build")
