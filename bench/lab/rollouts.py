"""Sample answers of the policy and measure how often their prefixes, continued by the same policy, end right.

Run as `python -m bench.lab.rollouts prm --out .lab/mc_prm.jsonl`; a killed run goes on where it stopped.
"""

import argparse
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adaptive_middleware.lab.problems import Problem, final_answer, is_correct, stories
from bench.lab import paths, sampler, text, training


def _sample(problem: Problem, drawn: sampler.Continuation, seed: int) -> dict[str, Any]:
    """One finished answer as the recording wants it (scores are added later)."""
    written = text.written(drawn.tokens)
    finished = drawn.tokens[-1] == text.tokenizer().eos_token_id
    answer = final_answer(written)
    return {
        "text": written, "tokens": len(drawn.tokens), "correct": finished and is_correct(problem, written),
        "answer": None if answer is None else str(answer), "seed": seed,
        "step_logprobs": _by_step(drawn),
        "logprobs": _extent(drawn.logprobs), "step_ends": _ends(written),
    }  # fmt: skip


def _ends(written: str) -> list[int]:
    return list(itertools.accumulate(len(part) for part in written.splitlines(keepends=True)))


def _extent(logprobs: Sequence[float]) -> list[float]:
    return [round(min(logprobs), 5), round(sum(logprobs) / len(logprobs), 5)]


def _by_step(drawn: sampler.Continuation) -> list[list[float]]:
    """[min, mean] of each line's token log-probabilities, its newline or end token included."""
    newline = text.plain("\n")[0]
    groups: list[list[float]] = [[]]
    for token, value in zip(drawn.tokens, drawn.logprobs, strict=True):
        groups[-1].append(value)
        if token == newline:
            groups.append([])
    return [_extent(group) for group in groups if group]


def _unfinished(samples: Sequence[dict[str, Any]]) -> list[tuple[tuple[str, ...], list[float]]]:
    """All proper prefixes, as often as they were drawn, with [min, mean] of the log-probabilities of their tokens."""
    found: list[tuple[tuple[str, ...], list[float]]] = []
    for sample in samples:
        lines = sample["text"].splitlines()
        sizes = [len(text.plain(one)) + 1 for one in lines]
        for cut in range(1, len(lines)):
            parts = sample["step_logprobs"][:cut]
            mean = sum(size * part[1] for size, part in zip(sizes, parts, strict=False)) / sum(sizes[:cut])
            found.append((tuple(lines[:cut]), [min(part[0] for part in parts), round(mean, 5)]))
    return found


def _finished(sample: dict[str, Any]) -> dict[str, Any]:
    return {
        "steps": sample["text"].splitlines(), "done": True, "success": int(sample["correct"]), "rollouts": 1,
        "logprobs": sample["logprobs"],
    }  # fmt: skip


def _ids(problem: Problem, steps: Sequence[str]) -> list[int]:
    return text.prompt(problem.question) + text.plain("".join(f"{step}\n" for step in steps))


def _measured(
    problem: Problem,
    steps: Sequence[str],
    drawn: Sequence[sampler.Continuation],
    logprobs: list[float] | None,
) -> dict[str, Any]:
    end = text.tokenizer().eos_token_id
    good = sum(c.tokens[-1] == end and is_correct(problem, text.written(c.tokens)) for c in drawn)
    return {
        "steps": list(steps),
        "done": False,
        "success": good,
        "rollouts": len(drawn),
        "logprobs": logprobs,
    }


def _chosen(samples: Sequence[dict[str, Any]], count: int, distinct: bool, rng: random.Random) -> list[Any]:
    """Which prefixes of a problem to measure: the bare question and `count` others, with or without repeats."""
    drawn = _unfinished(samples)
    rng.shuffle(drawn)
    return [((), None), *(list(dict(drawn).items()) if distinct else drawn)[:count]]


def measure(
    policy: sampler.Sampler, problems: Sequence[Problem], arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One record per problem: samples and measured prefixes, each prefix text rolled out once."""
    rng = random.Random(problems[0].id)
    drawn = policy.draw([text.prompt(p.question) for p in problems], arguments.samples)
    samples = [
        [_sample(p, one, seed) for seed, one in enumerate(group)]
        for p, group in zip(problems, drawn, strict=True)
    ]
    cut = arguments.cut or None
    chosen = [_chosen(group[:cut], arguments.prefixes, arguments.distinct, rng) for group in samples]
    jobs = [(index, steps) for index, some in enumerate(chosen) for steps in dict(some)]
    rolled = policy.draw([_ids(problems[index], steps) for index, steps in jobs], arguments.rollouts)
    known = dict(zip(jobs, rolled, strict=True))
    for index, (problem, group) in enumerate(zip(problems, samples, strict=True)):
        rows = [_measured(problem, steps, known[index, steps], logs) for steps, logs in chosen[index]]
        done = [_finished(sample) for sample in group[:cut]]
        yield {"id": problem.id, "question": problem.question, "level": problem.level, "samples": group,
               "prefixes": rows + done}  # fmt: skip


def collect(arguments: argparse.Namespace) -> None:
    """Fills the file, going on where an earlier run stopped."""
    training.prepare(arguments.seed, arguments.threads)
    done = set()
    if arguments.out.exists():
        done = {
            json.loads(line)["id"] for line in arguments.out.read_text().splitlines() if line.endswith("}")
        }
    wanted = itertools.islice(stories(arguments.split), arguments.first, arguments.first + arguments.problems)
    waiting = [problem for problem in wanted if problem.id not in done]
    policy = sampler.load(str(arguments.policy), seed=arguments.seed + len(done), rows=arguments.rows)
    with arguments.out.open("a") as file:
        for group in sampler.chunks(waiting, arguments.together):
            for record in measure(policy, group, arguments):
                file.write(json.dumps(record) + "\n")
            file.flush()
            training.LOG.info("%s: up to %s", arguments.split, group[-1].id)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=["prm", "calibration", "test"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--policy", type=Path, default=paths.POLICY)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=4, help="answers per problem")
    parser.add_argument(
        "--cut", type=int, default=0, help="take prefixes from this many answers only (0: all)"
    )
    parser.add_argument("--prefixes", type=int, default=6, help="unfinished prefixes per problem")
    parser.add_argument(
        "--distinct", action="store_true", help="no prefix twice (for training, not for calibration)"
    )
    parser.add_argument("--rollouts", type=int, default=8, help="continuations per prefix")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--together", type=int, default=64, help="problems per round")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=training.default_threads())
    collect(parser.parse_args())


if __name__ == "__main__":
    main()
