"""The comparison of partial-answer strategies: counting, arithmetic, and a small run of the real thing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Qwen2Config

from adaptive_middleware import lab
from adaptive_middleware.effects import Extend, Flow, Score
from adaptive_middleware.engine import run
from adaptive_middleware.ports import Ports
from adaptive_middleware.scoring.device import Device
from adaptive_middleware.scoring.local import Opened, open_model
from adaptive_middleware.scoring.rows import render
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.types import Path, Request, StepScores
from bench.allocation.rows import Span
from bench.partial import __main__ as command
from bench.partial.counting import CountingScorer, Lengths
from bench.partial.flops import Cost, Model, scoring_share
from bench.partial.lockstep import lockstep
from bench.partial.run import Size, rows
from bench.partial.table import Row, as_json, at_equal_tokens, chosen, lines

QUESTION = "Ana has 3 pens. She buys 4 more. How many pens does Ana have now?"


@pytest.fixture(scope="module")
def opened() -> Opened:
    return open_model(lab.PRM)


step = st.sampled_from(["3 + 4 = 7\n", "3 + 4 = 8\n", "The answer is 7.", "7 * 2 = 14\n"])
calls = st.lists(
    st.lists(st.lists(step, max_size=3).map(tuple), min_size=1, max_size=4), min_size=1, max_size=4
)


@settings(max_examples=20, deadline=None)
@given(calls=calls)
def test_counted_tokens_are_those_that_the_engine_computes(
    opened: Opened, calls: list[list[tuple[str, ...]]]
) -> None:
    device = Device(opened.network)
    counting = CountingScorer(Lengths(opened.family.layout), lambda _: StepScores())
    request, scratch = Request(QUESTION), 0
    for paths in calls:
        made = [render(opened.family.layout, QUESTION, steps, 4096)[0][0] for steps in paths]
        computed = device.outputs(made)
        counted = counting.score(request, [Path(steps) for steps in paths])
        scratch += sum(len(row.ids) for row in made)
        # the engine also finds that the first tokens of two different steps are equal
        assert (
            sum(computed.tokens)
            <= sum(one.tokens for one in counted)
            <= sum(computed.tokens) + 24 * len(paths)
        )
    assert counting.rescored == scratch
    assert all(
        one.tokens == 0 for one in counting.score(request, [Path(steps) for steps in calls[-1] if steps])
    )
    device.close()


def test_operations_are_counted_from_the_shapes_of_the_real_weights() -> None:
    model = AutoModelForCausalLM.from_pretrained(lab.POLICY)
    config = model.config
    assert isinstance(config, Qwen2Config)
    linear = sum(part.weight.numel() for part in model.model.modules() if isinstance(part, torch.nn.Linear))
    counted = Model.of(config, config.vocab_size * config.hidden_size)
    assert counted.linear == linear
    assert counted.outputs == model.lm_head.weight.numel()
    expected = 2 * (linear + counted.outputs) + 4 * config.num_hidden_layers * config.hidden_size * 50
    assert counted.per_token(50) == expected


def test_a_judge_of_the_generator_s_size_that_reads_every_token_once_has_half_of_the_operations() -> None:
    one = Model(1000, 1, 0, 0)
    assert scoring_share(Cost(0, 100, 100), one, one) == 0.5
    assert scoring_share(Cost(100, 100, 50), one, one) == pytest.approx(50 / 250)


def asking(n: int) -> Flow[list[str]]:
    paths = yield from Extend(Request(str(n)), (Path(done=False),), n)
    scores = yield from Score(Request(str(n)), tuple(paths))
    if n > 2:
        paths = yield from Extend(Request(str(n)), tuple(paths), 1)
    return [path.text for path in paths] + [str(len(one.values)) for one in scores]


class Naming:
    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        return [
            Path((*path.steps, f"{request.text}.{k}\n"), done=False) for path in paths for k in range(fanout)
        ]


def test_flows_in_lockstep_end_as_they_do_one_by_one_and_are_asked_together() -> None:
    rounds: list[tuple[str, int]] = []

    def extended(asked: Sequence[tuple[int, Extend]]) -> list[list[Path]]:
        rounds.append(("extend", len(asked)))
        return [Naming().extend(effect.request, effect.paths, effect.fanout) for _, effect in asked]

    def scored(asked: Sequence[tuple[int, Score]]) -> list[list[StepScores]]:
        rounds.append(("score", len(asked)))
        return [TableScorer(0.5).score(effect.request, effect.paths) for _, effect in asked]

    together = lockstep([asking(n) for n in (1, 2, 3)], {Extend: extended, Score: scored})
    alone = [
        run(asking(n), Ports(ScriptedSampler([]), TableScorer(0.5), extender=Naming())) for n in (1, 2, 3)
    ]
    assert together == alone
    assert rounds == [("extend", 3), ("score", 3), ("extend", 1)]


def line(policy: str, accuracy: float, generated: float) -> Row:
    span = Span(accuracy, accuracy, accuracy)
    return Row(policy, span, generated, 1, 2, 0.1, 0.2, 0.3, span)


def test_accuracy_at_equal_tokens_lies_on_the_line_between_the_fixed_beams() -> None:
    curve = [line("b", 0.8, 200), line("a", 0.6, 100)]
    assert at_equal_tokens(150, curve) == pytest.approx(0.7)
    assert (at_equal_tokens(50, curve), at_equal_tokens(500, curve)) == (0.6, 0.8)


def test_a_setting_is_the_cheapest_that_keeps_the_accuracy_on_the_other_problems() -> None:
    problems = 40
    reference = np.zeros((problems, 4))
    reference[:, 0] = 0.7
    figures = np.zeros((3, problems, 4))
    figures[:, :, 0] = np.array([0.5, 0.696, 0.9])[:, None]
    figures[:, :, 1] = np.array([10, 20, 30])[:, None]
    picked = chosen(figures, reference, [str(k) for k in range(problems)])
    assert (picked[:, 1] == 20).all()


def test_a_small_run_has_every_rule_and_the_promised_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    found = rows(Size(1, 10, ((4, 2),)), told.append)
    names = [one.policy for one in found]
    assert names == told
    assert names[:2] == ["fixed 8", "fixed 16"]
    assert [name.split(",")[0] for name in names[-3:]] == ["beam fixed", "beam k", "beam m"]
    fixed = found[1]
    assert 0 <= fixed.accuracy.value <= 1
    assert fixed.scored < fixed.rescored
    assert all(0 < one.share < 1 and one.generated > 0 for one in found)
    assert all((one.time_share is not None) == one.policy.startswith("beam") for one in found)
    assert len(lines(found)) == len(found) + 2
    monkeypatch.setattr(command, "rows", lambda *_: found)
    command.main(["--json"])
    printed = json.loads(capsys.readouterr().out)["rows"]
    assert printed == [as_json(one) for one in found]
    assert {"policy", "accuracy", "generated_tokens", "prm_tokens", "prm_flop_share"} <= printed[0].keys()
    command.main([])
    assert "| beam k, N = 4, M = 2 |" in capsys.readouterr().out
