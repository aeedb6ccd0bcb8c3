"""Tokenizers come as their file says, whatever the architecture."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2Tokenizer

from adaptive_middleware.checkpoint import open_checkpoint
from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.pretrained import load_tokenizer
from tests import tiny

TEXT = "Tom has 12 apples;  he buys 345.\n\n\n He's   happy! ünï 👍"


@pytest.mark.parametrize("make", [tiny.qwen_prm, tiny.llama_chat, tiny.math_shepherd, tiny.gpt2])
def test_ids_are_those_of_the_tokenizer_file(tmp_path: Path, make: object) -> None:
    assert callable(make)
    checkpoint = open_checkpoint(make(tmp_path))
    expected = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(TEXT).ids
    assert load_tokenizer(checkpoint)(TEXT)["input_ids"] == expected


def test_a_pre_tokenizer_of_ones_own_survives_a_known_architecture(tmp_path: Path) -> None:
    file = tiny.qwen_prm(tmp_path) / "tokenizer.json"
    values = json.loads(file.read_text())
    values["pre_tokenizer"]["use_regex"] = False
    values["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"String": "Ye"}, "behavior": "Isolated", "invert": False},
            values["pre_tokenizer"],
        ],
    }
    file.write_text(json.dumps(values))
    tokenizer = load_tokenizer(open_checkpoint(tmp_path))
    assert tokenizer.convert_ids_to_tokens(tokenizer("Yes")["input_ids"]) == ["Ye", "s"]
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.convert_ids_to_tokens(theirs("Yes")["input_ids"]) == ["Yes"], "the trap is gone: simplify"


def test_a_folder_without_tokenizer_json_is_left_to_its_architecture(tmp_path: Path) -> None:
    folder = tiny.qwen_prm(tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("\n".join(" ".join(pair) for pair in model["merges"]))
    (folder / "tokenizer.json").unlink()
    assert isinstance(load_tokenizer(open_checkpoint(folder)), Qwen2Tokenizer)


def test_a_folder_without_any_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny.qwen_prm(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, bare)
    with pytest.raises(CheckpointError, match=r"no tokenizer in .*bare.*tokenizer\.json"):
        load_tokenizer(open_checkpoint(bare))
