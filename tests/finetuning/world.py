"""Made-up problems for a tiny random model: answers that contain an `x` mostly end wrong."""

import gzip
import json
import random
from pathlib import Path

from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.finetuning.labelled import Labelled


def labelled(problems: int, seed: int = 0, rollouts: int = 8) -> list[Labelled]:
    """Per problem the question, a partial answer, the finished answer that begins with it, and another finished one."""
    rng = random.Random(seed)
    found = []
    for number in range(problems):
        name, question = f"p{seed}-{number}", f"What is {number} + {number + 1}?"
        level = rng.random()
        found.append(_one(rng, name, question, (), done=False, rate=level, trials=rollouts))
        for wrong in (True, False):
            rate = 0.1 + 0.2 * level if wrong else 0.7 + 0.2 * level
            steps = (f"{number} and {'x' if wrong else 'y'}\n", f"so it is {2 * number + 1}\n")
            if wrong:
                found.append(_one(rng, name, question, steps[:1], done=False, rate=rate, trials=rollouts))
            found.append(_one(rng, name, question, steps, done=True, rate=rate, trials=1))
    return found


def _one(
    rng: random.Random,
    name: str,
    question: str,
    steps: tuple[str, ...],
    *,
    done: bool,
    rate: float,
    trials: int,
) -> Labelled:
    right = sum(rng.random() < rate for _ in range(trials))
    scores = tuple(round(rng.random(), 3) for _ in range(max(1, len(steps))))
    return Labelled(question, steps, Example(scores, len(steps), done, None, right / trials, trials, name))


def written(folder: Path, data: list[Labelled], name: str = "a") -> tuple[Path, Path]:
    """(examples, questions) as files."""
    rows = [
        {
            "problem": e.group, "level": 1, "steps": list(one.steps), "scores": e.scores, "done": e.done,
            "success": e.right, "rollouts": e.trials, "logprobs": None,
        }
        for one in data for e in [one.example]
    ]  # fmt: skip
    examples, questions = folder / f"{name}.jsonl.gz", folder / f"{name}_questions.jsonl"
    examples.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    texts = {one.example.group: one.question for one in data}
    questions.write_text(
        "".join(json.dumps({"id": name, "question": text}) + "\n" for name, text in texts.items())
    )
    return examples, questions
