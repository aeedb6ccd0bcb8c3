# ruff: noqa: S106, RUF001 - token names are no passwords; byte-level spellings look odd
"""Tiny random models with the public architectures, tensor names and special tokens, saved as users have them."""

import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

torch.set_num_threads(1)

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN_CHATML = CHATML[CHATML.index("{% for") :]
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_WORDS = ("ĠYes", "ĠNo", "Yes", "No", "the", "step", "is", "Ċ", "ĊĊ", "Ðº", "Ð¸", "ÐºÐ¸", "ĠÐºÐ¸")


def byte_level(
    folder: Path, specials: list[str], *, template: str | None, **roles: str
) -> PreTrainedTokenizerFast:
    """A byte-level BPE as Qwen and Llama 3 have, with a few merges."""
    vocabulary = {token: index for index, token in enumerate(_ALPHABET)}
    merges: list[tuple[str, str]] = []
    for word in _WORDS:
        for cut in range(2, len(word) + 1):
            if word[:cut] not in vocabulary and word[: cut - 1] in vocabulary:
                vocabulary[word[:cut]] = len(vocabulary)
                merges.append((word[: cut - 1], word[cut - 1]))
    both = [("Ðº", "Ð¸"), ("Ġ", "ÐºÐ¸")]
    for pair in both:
        vocabulary.setdefault("".join(pair), len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[*merges, *(p for p in both if p not in merges)]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return _saved(core, folder, template, roles)


def sentencepiece_like(folder: Path, specials: list[str], **roles: str) -> PreTrainedTokenizerFast:
    """A BPE over characters with byte fallback and an invented first space, as Llama 2 and Mistral have."""
    tokens = ["<unk>", *specials, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    tokens += [chr(code) for code in range(33, 127)] + ["к", "и", "ки", "▁ки", "▁+", "▁-"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-")]
    core = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens([AddedToken(token, normalized=False) for token in ["<unk>", *specials]])
    start = roles["bos_token"]
    core.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, vocabulary[start])]
    )
    return _saved(core, folder, None, roles)


def _saved(
    core: Tokenizer, folder: Path, template: str | None, roles: dict[str, str]
) -> PreTrainedTokenizerFast:
    settings = {"clean_up_tokenization_spaces": False, **roles}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **settings)  # type: ignore[no-untyped-call]
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return tokenizer


_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,
}
_KINDS: dict[str, Any] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
}


def random_model(kind: str, vocabulary: int, seed: int = 0, **settings: object) -> Any:
    """A causal language model of the architecture."""
    configuration, model = _KINDS[kind]
    torch.manual_seed(seed)
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    return model(configuration(vocab_size=vocabulary, **{**_SIZES, **ends, **settings})).eval()


def save(
    model: Any, folder: Path, *, architecture: str, head: dict[str, torch.Tensor], keep_lm_head: bool,
    shards: int = 1, **extra: object,
) -> None:  # fmt: skip
    """Writes config.json and the tensors under their public names, in one file or in shards with an index."""
    tensors = {
        name: tensor for name, tensor in model.state_dict().items() if keep_lm_head or "lm_head" not in name
    }
    tensors |= head
    config = {**model.config.to_dict(), "architectures": [architecture], **extra}
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(tensors)
    parts = [names[start::shards] for start in range(shards)]
    files = (
        ["model.safetensors"] if shards == 1 else [f"model-{k + 1:05d}.safetensors" for k in range(shards)]
    )
    for file, part in zip(files, parts, strict=True):
        save_file(
            {name: tensors[name].clone().contiguous() for name in part}, folder / file, {"format": "pt"}
        )
    if shards > 1:
        pairs = itertools.chain(
            *([(name, file) for name in part] for file, part in zip(files, parts, strict=True))
        )
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": dict(pairs)})
        )


def random_head(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Random tensors; `__` in a name stands for a dot."""
    generator = torch.Generator().manual_seed(1)
    return {
        name.replace("__", "."): torch.randn(shape, generator=generator) * 0.5
        for name, shape in shapes.items()
    }


def qwen_prm(folder: Path, *, template: str = CHATML, shards: int = 1, **extra: Any) -> Path:
    """The layout of Qwen2.5-Math-PRM."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"]
    tokenizer = byte_level(
        folder, specials, template=template, pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    head = random_head(
        score__0__weight=(32, 32), score__0__bias=(32,), score__2__weight=(2, 32), score__2__bias=(2,)
    )
    auto_map = {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
    model = random_model("qwen2", len(tokenizer))
    save(
        model, folder, architecture="Qwen2ForProcessRewardModel", head=head, keep_lm_head=False, shards=shards,
        auto_map=auto_map, **extra,
    )  # fmt: skip
    return folder


def skywork_prm(folder: Path) -> Path:
    """The layout of Skywork-o1-Open-PRM."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_level(
        folder, specials, template=CHATML, pad_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
    head = random_head(v_head__summary__weight=(1, 32), v_head__summary__bias=(1,))
    save(
        random_model("qwen2", len(tokenizer)),
        folder,
        architecture="Qwen2ForPrmModel",
        head=head,
        keep_lm_head=True,
    )
    return folder


def reasoneval(
    folder: Path, *, kind: str = "mistral", bias: bool = False, pad_is_start: bool = False
) -> Path:
    """The layout of ReasonEval-7B (Mistral) and 34B (Llama)."""
    pad = "<s>" if pad_is_start else "<pad>"
    tokenizer = sentencepiece_like(folder, ["<s>", "</s>", "<pad>"], bos_token="<s>", pad_token=pad)
    head = random_head(score_head__weight=(3, 32), **({"score_head__bias": (3,)} if bias else {}))
    save(random_model(kind, len(tokenizer)), folder, architecture="ReasonEval", head=head, keep_lm_head=False)
    return folder


def math_shepherd(folder: Path) -> Path:
    """The layout of math-shepherd-mistral-7b-prm."""
    tokenizer = sentencepiece_like(folder, ["<s>", "</s>"], bos_token="<s>", eos_token="</s>")
    model = random_model("mistral", len(tokenizer))
    save(model, folder, architecture="MistralForCausalLM", head={}, keep_lm_head=True)
    return folder


def gpt2(folder: Path) -> Path:
    """GPT-2: other tensor names, other names in the configuration, tied without saying so, no chat template."""
    tokenizer = byte_level(folder, ["<|endoftext|>"], template=None, eos_token="<|endoftext|>")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=300)
    )
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({k: v for k, v in config.items() if k != "tie_word_embeddings"})
    )
    return folder


def bloom(folder: Path) -> Path:
    """Bloom: a language model without a longest position."""
    tokenizer = byte_level(folder, ["<eot>"], template=None, eos_token="<eot>")
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=4, eos_token_id=None)
    BloomForCausalLM(config).save_pretrained(folder)
    return folder


def llama_chat(folder: Path, *, template: str | None = LLAMA3, tied: bool = False, **extra: Any) -> Path:
    """The layout of RLHFlow's Llama 3.1 models, and of any chat model that can judge or sample."""
    specials = ["<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_level(folder, specials, template=template, bos_token="<|begin|>", eos_token="<|eot_id|>")
    model = random_model("llama", len(tokenizer), tie_word_embeddings=tied)
    save(model, folder, architecture="LlamaForCausalLM", head={}, keep_lm_head=not tied, **extra)
    return folder
