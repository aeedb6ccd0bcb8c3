"""The lab's PRM as it is trained: the Qwen2.5-Math-PRM shape, plus a language-model head that is thrown away."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy, linear
from transformers import Qwen2Config, Qwen2Model

from bench.lab import text
from bench.lab.trees import Batch

HELPER_LAYER = (
    5  # the next token must be known here, so that the layers above can compare it with what was written
)


def configuration() -> Qwen2Config:
    """The shape of the model."""
    tokenizer = text.tokenizer()
    return Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=7,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=1024, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        architectures=["Qwen2ForProcessRewardModel"],
    )  # fmt: skip


class Judge(nn.Module):
    """Trunk and score head; tensor names are those of the public checkpoints."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.config = config
        self.model = Qwen2Model(config)
        self.model.set_attn_implementation("eager")
        width = config.hidden_size
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        self.helper = nn.RMSNorm(width)

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states for the score head and for the helper head."""
        blocked = torch.zeros(batch.mask.shape, device=batch.mask.device).masked_fill(~batch.mask, -1e9)
        out = self.model(
            input_ids=batch.tokens,
            position_ids=batch.positions,
            attention_mask={"full_attention": blocked},
            use_cache=False,
            output_hidden_states=True,
        )
        return out.last_hidden_state, out.hidden_states[HELPER_LAYER]

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(judge, language): soft cross entropy at the weighted tokens, cross entropy of the next tokens."""
        top, middle = self(batch)
        used = batch.weights > 0
        logits, target, weight = self.score(top[used]).float(), batch.targets[used], batch.weights[used]
        judged = cross_entropy(logits, torch.stack([1 - target, target], -1), reduction="none")
        known = batch.following != -100
        words = linear(self.helper(middle[known].float()), self.model.embed_tokens.weight).float()
        language = cross_entropy(words, batch.following[known]) if known.any() else words.sum()
        return (judged * weight).sum() / weight.sum(), language

    @torch.no_grad()
    def scores(self, batch: Batch) -> torch.Tensor:
        """Probability of class 1 at every token."""
        logits: torch.Tensor = self.score(self(batch)[0])
        return logits.float().softmax(-1)[..., 1]


def save(judge: Judge, folder: Path) -> None:
    """Writes the public layout: `model.*`, `score.0.*`, `score.2.*` in bfloat16, and the configuration."""
    kept = {
        k: v.to(torch.bfloat16).contiguous()
        for k, v in judge.state_dict().items()
        if not k.startswith("helper")
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    judge.config.dtype = torch.bfloat16
    judge.config.save_pretrained(folder)
    described = json.loads(
        (folder / "config.json").read_text()
    )  # transformers leaves out a default of its own
    (folder / "config.json").write_text(json.dumps(described | {"num_labels": 2}, indent=2) + "\n")
    (folder / "model.safetensors").chmod(0o644)


def load(folder: Path) -> Judge:
    """The judge of a folder, in float32."""
    judge = Judge(Qwen2Config.from_pretrained(folder))
    judge.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return judge.float().eval()
