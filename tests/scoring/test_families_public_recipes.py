"""Each family against the model card's own recipe: whole string, one sequence at a time, full head, no padding."""

import json
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from adaptive_middleware.scoring.families import JUDGE_PROMPT
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.scoring.text import FIRST as STEPS_MARK
from adaptive_middleware.scoring.text import QUESTION as QUESTION_MARK
from adaptive_middleware.types import Path, Request
from tests import tiny

QUESTION = "Tom has 3 apples and buys 4. How many?"
ANSWERS = [
    ("3 + 4 = 7\n\n", "The answer is 7."),
    ("Add them.\n\n", "Three plus four:\nseven, I think.\n\n", "So 7\n"),
    ("7",),
    ("a\n\n", "b\n\n", "c\n\n", "d\n\n", "ünïcode ✓"),
]
PATHS = [Path(steps) for steps in ANSWERS]


def scores(
    folder: FilePath, family: str | None = None, paths: list[Path] = PATHS, **settings: Any
) -> list[list[float]]:
    scorer = load_scorer(folder, family=family, **settings)
    return [list(found.values) for found in scorer.score(Request(QUESTION), paths)]


def network(folder: FilePath) -> Any:
    """The plain causal model of the folder, filled without our loader."""
    tensors: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        tensors |= load_file(file)
    model = tiny.random_model(config(folder)["model_type"], len(tensors["model.embed_tokens.weight"]), seed=9)
    names = model.state_dict().keys()
    fitting = {name: tensor for name, tensor in tensors.items() if name in names}
    if "lm_head.weight" not in fitting:
        fitting["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model.load_state_dict(fitting)
    return model.eval()


def config(folder: FilePath) -> Any:
    return json.loads((folder / "config.json").read_text())


@torch.no_grad()
def hidden(folder: FilePath, ids: list[int]) -> torch.Tensor:
    found: torch.Tensor = network(folder).model(torch.tensor([ids])).last_hidden_state[0]
    return found


@torch.no_grad()
def logits(folder: FilePath, ids: list[int]) -> torch.Tensor:
    found: torch.Tensor = network(folder)(torch.tensor([ids])).logits[0]
    return found


def close(found: list[list[float]], expected: list[list[float]]) -> None:
    assert [len(values) for values in found] == [len(values) for values in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)
    spread = [value for values in expected for value in values]
    assert max(spread) - min(spread) > 1e-3, "the reference must tell steps apart"


def qwen_reference(folder: FilePath, messages: list[dict[str, str]], steps: tuple[str, ...]) -> list[float]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    answer = "".join(step.strip("\n") + "<extra_0>" for step in steps)
    text = tokenizer.apply_chat_template(
        [*messages, {"role": "assistant", "content": answer}], tokenize=False
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    head = load_file(folder / "model.safetensors")
    inner = linear(hidden(folder, ids), head["score.0.weight"], head["score.0.bias"]).relu()
    probabilities = linear(inner, head["score.2.weight"], head["score.2.bias"]).softmax(-1)[:, 1]
    marker = tokenizer.encode("<extra_0>")[0]
    return [float(probabilities[k]) for k, token in enumerate(ids) if token == marker]


def test_qwen_math_prm_with_the_cards_system_prompt(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path)
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": QUESTION}]
    close(scores(folder), [qwen_reference(folder, messages, steps) for steps in ANSWERS])


def test_qwen_layout_with_a_template_of_its_own_gets_no_system_turn(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path, template=tiny.PLAIN_CHATML)
    close(
        scores(folder), [qwen_reference(folder, [{"role": "user", "content": QUESTION}], s) for s in ANSWERS]
    )


def test_a_models_own_config_can_change_the_system_prompt(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path, adaptive_family={"system": "Be strict."})
    messages = [{"role": "system", "content": "Be strict."}, {"role": "user", "content": QUESTION}]
    close(scores(folder), [qwen_reference(folder, messages, steps) for steps in ANSWERS])


def test_a_path_without_steps_is_the_question_with_one_empty_step(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path, template=tiny.PLAIN_CHATML)
    expected = qwen_reference(folder, [{"role": "user", "content": QUESTION}], ("",))
    assert scores(folder, paths=[Path()])[0] == pytest.approx(expected, abs=1e-5)


def test_skywork_reads_the_value_at_the_newline_that_ends_a_step(tmp_path: FilePath) -> None:
    folder = tiny.skywork_prm(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    newline = tokenizer.encode("\n")[-1]
    head = load_file(folder / "model.safetensors")

    def reference(steps: tuple[str, ...]) -> list[float]:
        ids = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
        flags = []
        for step in steps:
            for line in filter(None, step.split("\n")):
                ids += [*tokenizer.encode(line), newline]
            flags.append(len(ids) - 1)
        value = linear(hidden(folder, ids), head["v_head.summary.weight"], head["v_head.summary.bias"])
        return torch.sigmoid(value)[flags, 0].tolist()

    close(scores(folder), [reference(steps) for steps in ANSWERS])


@pytest.mark.parametrize(("kind", "bias", "pad_is_start"), [("llama", True, False), ("mistral", False, True)])
def test_reasoneval_is_neutral_plus_positive_where_the_published_script_reads(
    tmp_path: FilePath, kind: str, bias: bool, pad_is_start: bool
) -> None:
    folder = tiny.reasoneval(tmp_path, kind=kind, bias=bias, pad_is_start=pad_is_start)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    head = load_file(folder / "model.safetensors")

    def reference(steps: tuple[str, ...]) -> list[float]:
        prompt = f"Question:\n{QUESTION}\nAnswer:\nLet's think step by step.\n"
        pieces = [tokenizer.encode(step.strip(), add_special_tokens=False) for step in steps]
        ids = tokenizer.encode(prompt)
        ends = []
        for piece in pieces:
            ids += piece
            ends.append(len(ids) - 1 - int(pad_is_start))
        raw = linear(hidden(folder, ids), head["score_head.weight"], head.get("score_head.bias")).softmax(-1)
        return (raw[ends, 1] + raw[ends, 2]).tolist()

    close(scores(folder), [reference(steps) for steps in ANSWERS])


def test_math_shepherd_reads_plus_against_minus_at_its_marker(tmp_path: FilePath) -> None:
    folder = tiny.math_shepherd(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    candidates = tokenizer.encode("+ -")[1:]
    marker = tokenizer.encode("ки")[-1]

    def reference(steps: tuple[str, ...]) -> list[float]:
        text = QUESTION + " " + "\n\n".join(f"{step.strip()} ки" for step in steps)
        ids = tokenizer.encode(text)
        probabilities = logits(folder, ids)[:, candidates].softmax(-1)[:, 0]
        return [float(probabilities[k]) for k, token in enumerate(ids) if token == marker]

    close(scores(folder, "math-shepherd"), [reference(steps) for steps in ANSWERS])


def test_rlhflow_reads_plus_against_minus_where_each_turn_is_answered(tmp_path: FilePath) -> None:
    folder = tiny.llama_chat(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]

    def reference(steps: tuple[str, ...]) -> list[float]:
        found, conversation = [], []
        for k, step in enumerate(steps):
            said = f"{QUESTION} {step.strip()}" if k == 0 else step.strip()
            conversation += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
            text = tokenizer.apply_chat_template(conversation, tokenize=False)
            ids = tokenizer.encode(text, add_special_tokens=False)
            assert ids[-2] == candidates[0]
            found.append(float(logits(folder, ids)[-3, candidates].softmax(-1)[0]))
        return found

    close(scores(folder, "rlhflow"), [reference(steps) for steps in ANSWERS])


@pytest.mark.parametrize(("template", "tied"), [(tiny.LLAMA3, False), (None, True)])
def test_a_judge_is_asked_after_each_step_and_answers_by_label_probability(
    tmp_path: FilePath, template: str | None, tied: bool
) -> None:
    folder = tiny.llama_chat(tmp_path, template=template, tied=tied)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    words = [" Yes", " No"] if template is None else ["Yes", "No"]
    labels = [tokenizer.encode(word, add_special_tokens=False)[0] for word in words]

    def reference(steps: tuple[str, ...]) -> list[float]:
        found = []
        for k in range(1, len(steps) + 1):
            written = "\n".join(step.strip() for step in steps[:k])
            asked = (
                f"Problem:\n{QUESTION}\n\nSolution so far:\n{written}\n\nIs the last step of this solution correct, "
                "and can the solution still succeed? Answer with Yes or No."
            )
            text = asked + "\nAnswer:"
            if template is not None:
                chat = [{"role": "user", "content": asked}]
                text = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
            ids = tokenizer.encode(text, add_special_tokens=False)
            found.append(float(logits(folder, ids)[-1, labels].softmax(-1)[0]))
        return found

    close(scores(folder, "judge"), [reference(steps) for steps in ANSWERS])


def test_any_causal_language_model_can_judge(tmp_path: FilePath) -> None:
    folder = tiny.gpt2(tmp_path)
    tokenizer, model = (
        PreTrainedTokenizerFast.from_pretrained(folder),
        AutoModelForCausalLM.from_pretrained(folder),
    )
    text = JUDGE_PROMPT.replace(QUESTION_MARK, "1 + 1?").replace(STEPS_MARK, "2") + "\nAnswer:"
    labels = [tokenizer.encode(word)[0] for word in (" Yes", " No")]
    with torch.no_grad():
        expected = model(**tokenizer(text, return_tensors="pt")).logits[0, -1, labels].softmax(-1)[0]
    scorer = load_scorer(folder, family="judge")
    [found] = scorer.score(Request("1 + 1?"), [Path(("2",))])
    assert found.values == pytest.approx([float(expected)], abs=1e-5)
    scorer = load_scorer(folder, family="judge", batch_invariant=True)
    assert scorer.score(Request("1 + 1?"), [Path(("2" * 400,))])[0].tokens == 300, "its n_positions"


def test_shards_and_batches_change_nothing(tmp_path: FilePath) -> None:
    whole, sharded = tmp_path / "whole", tmp_path / "sharded"
    whole.mkdir()
    sharded.mkdir()
    tiny.qwen_prm(whole)
    tiny.qwen_prm(sharded, shards=3)
    one_by_one = scores(whole, batch_tokens=1)
    close(scores(sharded), one_by_one)


def test_bfloat16_scores_agree_to_its_precision(tmp_path: FilePath) -> None:
    folder = tiny.qwen_prm(tmp_path)
    exact = load_scorer(folder).score(Request(QUESTION), PATHS)
    rough = load_scorer(folder, dtype="bfloat16").score(Request(QUESTION), PATHS)
    assert exact != rough
    for mine, theirs in zip(exact, rough, strict=True):
        assert theirs.values == pytest.approx(mine.values, abs=0.1)
