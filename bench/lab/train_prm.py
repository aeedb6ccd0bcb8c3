"""Train the lab's PRM, stage 1: to tell right steps from wrong ones, on unlimited synthetic solutions.

Run as `python -m bench.lab.train_prm`; `python -m bench.lab.tune_prm` goes on from here with measured success rates.
"""

import argparse
import itertools
import random
from pathlib import Path

import torch

from adaptive_middleware.lab.problems import stories
from bench.lab import judge, paths, synthetic, training, trees

LINE = "step %d judge %.4f language %.4f right %.3f wrong %.3f tokens %d"


def watched(count: int = 64) -> list[trees.Row]:
    """Rows of stories that are never trained on."""
    rng = random.Random(7)
    chosen = itertools.islice(stories("prm"), 3000, 3000 + count)
    return [synthetic.row(problem, 3, rng) for problem in chosen]


@torch.no_grad()
def step_accuracy(model: judge.Judge, rows: list[trees.Row], device: torch.device) -> tuple[float, float]:
    """Share of right steps and of wrong steps that are recognised (score over or under one half)."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    model.eval()
    for start in range(0, len(rows), 32):
        batch = trees.pack(rows[start : start + 32]).to(device)
        with training.mixed(device):
            scores = model.scores(batch)
        at = batch.weights == synthetic.AT_MARKER
        for score, target in zip(scores[at].tolist(), batch.targets[at].tolist(), strict=True):
            hits[target > 0.5].append((score > 0.5) == (target > 0.5))
    model.train()
    return sum(hits[True]) / len(hits[True]), sum(hits[False]) / len(hits[False])


def train(arguments: argparse.Namespace) -> None:
    """The whole run."""
    device = training.prepare(arguments.seed, arguments.threads)
    model = judge.Judge(judge.configuration()).to(device)
    optimiser = training.Optimisers(model, arguments.rate)
    state = arguments.out / "state.pt"
    done = training.load_state(state, model, optimiser)
    training.LOG.info("%d parameters, from step %d", sum(p.numel() for p in model.parameters()), done)
    feed = itertools.islice(
        synthetic.batches(arguments.seed + done, arguments.batch, arguments.wrong), arguments.steps - done
    )
    tokens, sums, held_out = 0, [0.0, 0.0], watched()
    for step, rows in enumerate(feed, start=done + 1):
        batch = trees.pack(rows).to(device)
        with training.mixed(device):
            judged, language = model.losses(batch)
        training.update(
            model, optimiser, judged + language, training.rate_at(step, arguments.steps, arguments.rate)
        )
        tokens, sums = tokens + batch.tokens.numel(), [sums[0] + judged.item(), sums[1] + language.item()]
        if step % 50 == 0:
            right, wrong = step_accuracy(model, held_out, device)
            training.LOG.info(LINE, step, sums[0] / 50, sums[1] / 50, right, wrong, tokens)
            sums = [0.0, 0.0]
        if step % arguments.every == 0 or step == arguments.steps:
            training.save_state(state, step, model, optimiser)
            judge.save(model, arguments.out / "latest")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--wrong", type=int, default=2, help="wrong solutions per right one")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=training.default_threads())
    parser.add_argument("--out", type=Path, default=paths.SCRATCH / "prm")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
