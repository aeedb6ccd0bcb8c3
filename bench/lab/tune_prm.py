"""Train the lab's PRM, stage 2: towards the measured success of the policy's own prefixes.

Run as `python -m bench.lab.tune_prm --data .lab/mc_prm.jsonl`; the best state on validation problems is shipped.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import torch

from adaptive_middleware.lab.problems import first_wrong_step, stories
from bench.lab import figures, judge, measured, paths, scoring, training, trees


def validate(model: judge.Judge, records: list[measured.Record]) -> dict[str, float]:
    """AUROC within and over problems, of the bare question, and how often the first wrong step is found."""
    known = {p.id: p for p in stories("prm")}
    answers: list[list[tuple[float, bool]]] = []
    bare: list[tuple[float, bool]] = []
    found: list[bool] = []
    model.eval()
    for record in records:
        texts = [sample["text"].splitlines() for sample in record["samples"]]
        with training.mixed(next(model.parameters()).device):
            question, *scores = scoring.score(model, record["question"], [[], *texts])
        right = [sample["correct"] for sample in record["samples"]]
        answers.append([(one[-1], good) for one, good in zip(scores, right, strict=True)])
        bare += [(question[0], good) for good in right]
        for steps, one, good in zip(texts, scores, right, strict=True):
            wrong = first_wrong_step(known[record["id"]], steps)
            if not good and wrong is not None:
                found.append(figures.largest_drop(question[0], one) == wrong)
    model.train()
    every = [pair for problem in answers for pair in problem]
    return {
        "within": figures.within(answers)[0], "overall": figures.overall(every),
        "question": figures.overall(bare), "located": sum(found) / len(found),
    }  # fmt: skip


def _start(arguments: argparse.Namespace, device: torch.device) -> judge.Judge:
    model = judge.Judge(judge.configuration())
    state: dict[str, Any] = torch.load(arguments.start, weights_only=True)
    model.load_state_dict(state["model"])
    return model.to(device)


def train(arguments: argparse.Namespace) -> None:
    """The whole run."""
    device = training.prepare(arguments.seed, arguments.threads)
    model, records = _start(arguments, device), measured.read(*arguments.data)
    held_out, records = records[: arguments.validation], records[arguments.validation :]
    optimiser, best = training.Optimisers(model, arguments.rate), -1.0
    training.LOG.info("%d records; before: %s", len(records), validate(model, held_out))
    feed = measured.batches(records, arguments.seed, arguments.measured, arguments.reminders)
    for step, (rows, reminders) in enumerate(itertools.islice(feed, arguments.steps), start=1):
        with training.mixed(device):
            judged, _ = model.losses(trees.pack(rows).to(device))
            kept, language = model.losses(trees.pack(reminders).to(device))
        rate = training.rate_at(step, arguments.steps, arguments.rate, warmup=20)
        training.update(model, optimiser, judged + 0.5 * kept + language, rate)
        if step % 10 == 0:
            values = judged.item(), kept.item(), language.item()
            training.LOG.info("step %d measured %.4f synthetic %.4f language %.4f", step, *values)
        if step % arguments.every == 0 or step == arguments.steps:
            figures_now = validate(model, held_out)
            reached = figures_now["within"] + figures_now["located"]
            training.LOG.info("step %d %s", step, {k: round(v, 4) for k, v in figures_now.items()})
            if reached > best:
                best = reached
                judge.save(model, arguments.out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[paths.SCRATCH / "mc_prm.jsonl", paths.SCRATCH / "mc_prm2.jsonl"],
    )
    parser.add_argument("--start", type=Path, default=paths.SCRATCH / "prm" / "state.pt")
    parser.add_argument("--out", type=Path, default=paths.PRM)
    parser.add_argument("--validation", type=int, default=120, help="problems kept for early stopping")
    parser.add_argument("--measured", type=int, default=16, help="problems with measured prefixes per step")
    parser.add_argument("--reminders", type=int, default=16, help="synthetic problems per step")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=training.default_threads())
    train(parser.parse_args())


if __name__ == "__main__":
    main()
