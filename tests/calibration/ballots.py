"""Made-up votes: problems differ in how often the right answer is given, and wrong answers may agree too."""

import random

from adaptive_middleware.calibration.vote_fit import Ballot
from tests.calibration.world import sigmoid


def ballots(problems: int, answers: int, seed: int) -> list[Ballot]:
    rng = random.Random(seed)
    made = []
    for number in range(problems):
        p, wrong = sigmoid(rng.gauss(0, 1.5)), rng.choice((3, 20))
        right = [rng.random() < p for _ in range(answers)]
        said = ["right" if ok else f"wrong {rng.randrange(wrong)}" for ok in right]
        made.append(Ballot(tuple(said), tuple(right), f"v{seed}-{number}"))
    return made
