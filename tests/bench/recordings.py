"""Small made-up recordings for the tests of the leaderboard."""

from random import Random

from adaptive_middleware.recording import Problem, RecordedSample


def scored(problems: int = 24, samples: int = 6, *, logprobs: bool = True, seed: int = 0) -> list[Problem]:
    """Problems of different difficulty with step scores that tell right from wrong most of the time."""
    rng = Random(seed)
    return [
        Problem(
            f"p{number}",
            "what is it, exactly",
            tuple(_sample(rng, (number + 0.5) / problems, logprobs=logprobs) for _ in range(samples)),
            question_score=round(1 - (number + 0.5) / problems, 3),
            question_tokens=4,
        )
        for number in range(problems)
    ]


def counted(*counts: tuple[int, int]) -> list[Problem]:
    return [
        Problem(str(index), f"question {index}", n=total, n_correct=right)
        for index, (right, total) in enumerate(counts)
    ]


def _sample(rng: Random, difficulty: float, *, logprobs: bool) -> RecordedSample:
    correct = rng.random() > difficulty
    answer = "5" if correct else rng.choice("678")
    low, high = sorted(
        round(min(max(rng.gauss(0.7 if correct else 0.4, 0.2), 0.01), 0.99), 3) for _ in range(2)
    )
    return RecordedSample(
        f"first\nso {answer}",
        correct,
        rng.randint(5, 30),
        scores=(high, low),
        answer=answer,
        logprobs=(round(low - 2, 3), round(-0.5 * (1 - high), 3)) if logprobs else None,
    )
