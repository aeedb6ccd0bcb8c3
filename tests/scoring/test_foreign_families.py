"""Models that do not fit the family they are loaded as: typed errors that say what to set."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.local import load_scorer
from tests import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.qwen_prm(tmp_path)


def refused(folder: Path, match: str, family: str | None = None) -> None:
    with pytest.raises(CheckpointError, match=match):
        load_scorer(folder, family=family)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("family", ["skywork-prm", "reasoneval", "math-shepherd"])
def test_a_model_of_another_family_is_refused(folder: Path, family: str) -> None:
    refused(folder, "is of another family, set `family`|has no token for", family)


def test_a_head_of_another_size_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["score.2.weight"] = torch.zeros(3, 32)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"score\.2\.weight has the shape \(3, 32\) instead of \(2, 32\)")


def test_a_tokenizer_without_the_marker_is_refused(tmp_path: Path) -> None:
    refused(tiny.skywork_prm(tmp_path), "has no token for '<extra_0>'", "qwen-math-prm")


def test_a_missing_chat_template_is_refused(tmp_path: Path) -> None:
    refused(tiny.llama_chat(tmp_path, template=None), "chat template cannot render", "rlhflow")


def test_a_chat_template_that_hides_messages_is_refused(tmp_path: Path) -> None:
    refused(
        tiny.llama_chat(tmp_path, template="{{ messages[0]['content'] }}"),
        "does not show every message",
        "rlhflow",
    )


def test_a_chat_template_that_refuses_the_conversation_is_refused(tmp_path: Path) -> None:
    template = "{{ raise_exception('no') }}"
    refused(
        tiny.llama_chat(tmp_path, template=template),
        "cannot render this family's conversation: no",
        "rlhflow",
    )


def test_judge_labels_that_begin_alike_are_refused(tmp_path: Path) -> None:
    folder = tiny.llama_chat(tmp_path, adaptive_family={"labels": ["right", "rong"]})
    refused(folder, "begin with the same token", "judge")


@pytest.mark.parametrize(
    "options", ["judge", {"nmae": "judge"}, {"labels": ["Yes"]}, {"labels": ["Yes", 0]}, {"system": 3}]
)
def test_unknown_family_options_are_refused(folder: Path, options: object) -> None:
    edit(folder / "config.json", adaptive_family=options)
    refused(folder, "config.json has adaptive_family=")


def test_reshaped_logits_are_refused(tmp_path: Path) -> None:
    refused(tiny.llama_chat(tmp_path, final_logit_softcapping=30.0), "final_logit_softcapping", "judge")


def test_a_language_model_without_its_output_layer_is_refused(tmp_path: Path) -> None:
    folder = tiny.llama_chat(tmp_path, tied=True)
    edit(folder / "config.json", tie_word_embeddings=False)
    refused(folder, r"lacks the tensor 'lm_head\.weight'", "judge")
