"""Rollouts for calibration on Ray: two workers draw and score answers of the lab pair; one recording comes out.

    python examples/ray_rollouts.py [rollouts.jsonl]
    adaptive-middleware calibrate --prompts rollouts.jsonl --out calibration --prm-id PRM --generator-id MODEL

Each worker loads its own sampler and scorer once: on a GPU give `ray.remote` `num_gpus=1`.
"""

import sys
from itertools import islice

import ray
from ray.util import ActorPool

from adaptive_middleware import Request, lab
from adaptive_middleware.lab import problems
from adaptive_middleware.recording import Problem, RecordedSample, write_recording
from adaptive_middleware.sampling.local import load_sampler
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.types import Path, StepScores

WORKERS, PROBLEMS, ANSWERS = 2, 8, 4


class Worker:
    """One process with the model pair."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sampler, self.scorer = load_sampler(lab.POLICY, seed=seed), load_scorer(lab.PRM)

    def rolled(self, story: problems.Problem) -> Problem:
        """One problem with its answers, scored and checked."""
        request = Request(story.question)
        paths = self.sampler.sample(request, ANSWERS)
        asked, *scores = self.scorer.score(request, [Path(), *paths])
        samples = tuple(self.recorded(story, *both) for both in zip(paths, scores, strict=True))
        level, score = story.level, asked.values[0]
        return Problem(story.id, story.question, samples, level=level, question_score=score)

    def recorded(self, story: problems.Problem, path: Path, scored: StepScores) -> RecordedSample:
        """One answer as a recording has it."""
        right = path.done and problems.is_correct(story, path.text)
        return RecordedSample(path.text, right, path.usage.completion_tokens, scored.values, seed=self.seed)


def main(place: str) -> None:
    """Send problems to whichever worker is free, and write what comes back."""
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    pool = ActorPool([ray.remote(Worker).remote(seed) for seed in range(WORKERS)])
    todo = islice(problems.stories("calibration"), PROBLEMS)
    found = list(pool.map(lambda one, story: one.rolled.remote(story), todo))
    write_recording(place, found)
    seeds = {sample.seed for problem in found for sample in problem.samples}
    print(f"{place}: {len(found)} problems, {ANSWERS} answers each, by {len(seeds)} workers")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "rollouts.jsonl")
