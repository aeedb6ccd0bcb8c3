"""Measure how the policy's checkpoints spread over the levels, and ship the chosen one.

Run as `python -m bench.lab.choose_policy` (table), then `... --ship step01500`.
"""

import argparse
import itertools
import logging
from pathlib import Path

import torch
from transformers import GenerationConfig, Qwen2ForCausalLM

from adaptive_middleware.lab.problems import LEVELS, is_correct, stories
from bench.lab import paths, sampler, text, training

LOG = logging.getLogger("lab")


def table(folder: Path, problems: int, n: int, factor: float) -> dict[int, list[float]]:
    """Pass rates of training-like problems (the `prm` split), by level."""
    policy = sampler.load(str(folder), seed=3, factor=factor)
    chosen = list(itertools.islice(stories("prm"), problems))
    drawn = policy.draw([text.prompt(p.question) for p in chosen], n)
    rates: dict[int, list[float]] = {level: [] for level in LEVELS}
    for problem, group in zip(chosen, drawn, strict=True):
        texts = [text.written(c.tokens) for c in group]
        rates[problem.level].append(sum(is_correct(problem, t) for t in texts) / n)
    return rates


def report(folder: Path, problems: int, n: int, factor: float) -> None:
    """Logs one line about a checkpoint."""
    rates = table(folder, problems, n, factor)
    every = [rate for level in rates.values() for rate in level]
    levels = " ".join(f"{sum(level) / len(level):.2f}" for level in rates.values())
    middle = sum(0.1 <= rate <= 0.9 for rate in every) / len(every)
    solved = sum(rate > 0 for rate in every) / len(every)
    LOG.info(
        "%s pass@1 %.3f pass@%d %.3f between %.2f levels %s",
        folder.name,
        sum(every) / len(every),
        n,
        solved,
        middle,
        levels,
    )


def ship(folder: Path, factor: float) -> None:
    """Writes the checkpoint in bfloat16 with its generation settings into the package."""
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    sampler.sharpen(model, factor)
    model.bfloat16()
    tokenizer = text.tokenizer()
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=sampler.MOST_TOKENS,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model.save_pretrained(paths.POLICY)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=80)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument(
        "--factor", type=float, default=1.0, help="multiplies the logits: 1 / temperature, baked in"
    )
    parser.add_argument("--only", help="one checkpoint's name")
    parser.add_argument("--ship", help="the checkpoint to put into the package")
    arguments = parser.parse_args()
    training.prepare(0, training.default_threads())
    folder = paths.SCRATCH / "policy"
    if arguments.ship:
        ship(folder / arguments.ship, arguments.factor)
        return
    for checkpoint in sorted(folder.glob(arguments.only or "step*")):
        report(checkpoint, arguments.problems, arguments.samples, arguments.factor)


if __name__ == "__main__":
    main()
