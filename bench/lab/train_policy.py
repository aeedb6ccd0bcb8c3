"""Train the lab's policy: a small Qwen2-shaped language model, stopped before it masters the task.

Run as `python -m bench.lab.train_policy`; checkpoints go to the scratch folder, `bench.lab.choose_policy` ships one.
"""

import argparse
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import Qwen2Config, Qwen2ForCausalLM

from adaptive_middleware.lab.problems import stories
from bench.lab import paths, text, training


def configuration() -> Qwen2Config:
    """The shape of the model."""
    tokenizer = text.tokenizer()
    return Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def batches(seed: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (inputs, labels); rows of similar length together, loss on the answer only."""
    problems, rng = stories("train", seed), random.Random(seed)
    while True:
        rows = [(text.prompt(p.question), text.answer(p.steps)) for p in itertools.islice(problems, size * 8)]
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        rng.shuffle(groups)
        yield from map(_padded, groups)


def _padded(rows: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    inputs = torch.full((len(rows), width), text.tokenizer().pad_token_id)
    labels = torch.full((len(rows), width), training.IGNORED)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        inputs[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return inputs, labels


def loss_of(model: Qwen2ForCausalLM, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the labelled tokens (padding is on the right: causal attention needs no mask)."""
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:] != training.IGNORED
    return cross_entropy(model.lm_head(hidden[wanted]).float(), labels[:, 1:][wanted])


def train(arguments: argparse.Namespace) -> None:
    """The whole run."""
    device = training.prepare(arguments.seed, arguments.threads)
    model = Qwen2ForCausalLM(configuration())
    torch.nn.Module.to(model, device)
    model.set_attn_implementation("eager")  # on a CPU it trains 1.8 times as fast as sdpa
    optimiser = training.adam(model, arguments.rate)
    state = arguments.out / "state.pt"
    done = training.load_state(state, model, optimiser)
    training.LOG.info("%d parameters, from step %d", sum(p.numel() for p in model.parameters()), done)
    feed = itertools.islice(batches(arguments.seed + done, arguments.batch), arguments.steps - done)
    tokens, total = 0, 0.0
    for step, (inputs, labels) in enumerate(feed, start=done + 1):
        with training.mixed(device):
            loss = loss_of(model, inputs.to(device), labels.to(device))
        training.update(model, optimiser, loss, training.rate_at(step, arguments.steps, arguments.rate))
        tokens, total = tokens + inputs.numel(), total + loss.item()
        if step % 25 == 0:
            training.LOG.info("step %d loss %.4f tokens %d", step, total / 25, tokens)
            total = 0.0
        if step % arguments.every == 0 or step == arguments.steps:
            training.save_state(state, step, model, optimiser)
            model.save_pretrained(arguments.out / f"step{step:05d}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=training.default_threads())
    parser.add_argument("--out", type=Path, default=paths.SCRATCH / "policy")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
