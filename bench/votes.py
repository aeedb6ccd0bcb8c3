"""What counted votes alone can do: the calibration of votes, and stopping by it, beside the Beta rule and ESC.

Run as `python -m bench.votes RECORDING.. [--json]`. Everything learned is cross-fitted by problem: the calibration of
votes, and the price of the rule that stops by it, chosen on other problems as the cheapest that is as accurate there as
the rival named beside it. The majority is selected; samples agree when they write the same answer.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from adaptive_middleware.calibration.metrics import brier, ece_equal_width
from adaptive_middleware.calibration.vote_fit import Ballot, crossfit_votes
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.policy.agreement import stays_leader
from adaptive_middleware.recording import read_recording
from adaptive_middleware.replay import as_written, take, tape
from bench.allocation.crossfit import choose, folds

Floats = npt.NDArray[np.float64]
_ORDERS, _SEED, _LARGEST, _ESC = 20, 0, 40, 5
_PRICES = (0.0, *np.geomspace(1e-6, 0.5, 80).tolist())
_RIGHT, _P, _STAYS, _UNANIMOUS = range(4)


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one recording: accuracy of the majority when it stops, and samples drawn, means over problems."""

    recording: str
    rule: str
    accuracy: float
    samples: float


def ballots(recording: Path) -> list[Ballot]:
    """The recorded answers of the problems on which anybody voted."""
    tapes = [tape(problem, as_written) for problem in read_recording(recording)]
    made = [
        Ballot(
            tuple(take(path).answer for path in one.paths),
            tuple(take(path).correct for path in one.paths),
            str(one.request.run_id),
        )
        for one in tapes
    ]
    return [one for one in made if set(one.answers) - {None}]


def watched(data: Sequence[Ballot]) -> Floats:
    """Problems x orders x counts x (right, calibrated p, P(leader stays), window of ESC unanimous)."""
    fitted = crossfit_votes(data, seed=_SEED)
    depth = min(_LARGEST, *(len(one.answers) for one in data))
    return np.array(
        [[_order(one, fitted[one.group], order) for order in _orders(one, depth)] for one in data]
    )


def _orders(ballot: Ballot, depth: int) -> list[list[int]]:
    rng = Random(f"{_SEED}:{ballot.group}")
    return [rng.sample(range(len(ballot.answers)), depth) for _ in range(_ORDERS)]


def _order(
    ballot: Ballot, by_votes: Callable[[Sequence[int]], float], order: Sequence[int]
) -> list[list[float]]:
    votes: dict[str, int] = {}
    first: dict[str, int] = {}
    rows = []
    for count, index in enumerate(order, 1):
        answer = ballot.answers[index] or f"unanswered-{index}"
        votes[answer] = votes.get(answer, 0) + 1
        first.setdefault(answer, index)
        leader = max(votes, key=votes.__getitem__)
        counts = sorted(votes.values(), reverse=True)
        window = {ballot.answers[i] for i in order[count - _ESC : count]} if count % _ESC == 0 else set()
        unanimous = len(window) == 1 and None not in window
        right, stays = ballot.correct[first[leader]], stays_leader(*(*counts, 0)[:2])
        rows.append([right, by_votes(counts), stays, unanimous])
    return rows


def stopped(seen: Floats, stop: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Accuracy and samples of each problem, drawing until `stop` (problems x orders x counts) or the end."""
    last = np.where(stop.any(axis=-1), stop.argmax(axis=-1), stop.shape[-1] - 1)
    right = np.take_along_axis(seen[..., _RIGHT], last[..., None], axis=-1)[..., 0]
    return right.mean(axis=1), (last + 1).mean(axis=1)


def gain(seen: Floats) -> Floats:
    """P(the lead changes) x P(the leader is wrong), spread over as many samples again as there are."""
    return np.asarray(
        (1 - seen[..., _STAYS]) * (1 - seen[..., _P]) / np.arange(1, seen.shape[2] + 1), dtype=np.float64
    )


def priced(seen: Floats, groups: Sequence[str], rival: Floats) -> tuple[Floats, Floats]:
    """Stopping where the gain is under a price that was chosen, without the problem, to match the rival's accuracy."""
    plays = [stopped(seen, gain(seen) <= price) for price in _PRICES]
    accuracy, samples = (np.array([play[i] for play in plays]) for i in range(2))
    fold_of = folds(groups, _SEED)
    chosen = np.zeros(len(groups), dtype=np.intp)
    for fold in range(int(fold_of.max()) + 1):
        others = fold_of != fold
        means = accuracy[:, others].mean(axis=1), samples[:, others].mean(axis=1)
        chosen[~others] = choose(*means, float(rival[others].mean()))
    every = np.arange(len(groups))
    return accuracy[chosen, every], samples[chosen, every]


def rows(name: str, seen: Floats, groups: Sequence[str]) -> list[Row]:
    """Every rule on one recording, the priced one below each rival that it was matched to."""
    depth = seen.shape[2]
    ends = np.arange(1, depth + 1)
    rivals = {f"majority@{n}": np.broadcast_to(ends == n, seen.shape[:3]) for n in (1, depth // 2, depth)}
    rivals |= {f"Beta {level}": seen[..., _STAYS] >= level for level in (0.9, 0.95)}
    rivals |= {f"ESC w={_ESC}": seen[..., _UNANIMOUS] > 0}
    found = []
    for rule, stop in rivals.items():
        own = stopped(seen, stop)
        matched = priced(seen, groups, own[0])
        for label, (accuracy, samples) in ((rule, own), (f"  priced, for {rule}", matched)):
            found.append(Row(name, label, float(accuracy.mean()), float(samples.mean())))
    return found


def honesty(name: str, seen: Floats) -> str:
    """How well the calibrated probability and the Beta rule's say whether the leader is right, over all counts."""
    right = seen[..., _RIGHT].ravel().tolist()
    figures = []
    for what, column in (("calibrated votes", _P), ("P(leader stays)", _STAYS)):
        said = seen[..., column].ravel().tolist()
        figures.append(f"{what}: ECE {ece_equal_width(said, right):.3f}, Brier {brier(said, right):.3f}")
    return f"{name[:34]:<36}{'; '.join(figures)}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; 0 when every recording was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args(argv)
    try:
        data = {recording.name: ballots(recording) for recording in arguments.recordings}
        seen = {name: watched(own) for name, own in data.items()}
    except AdaptiveError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    found = [row for name in data for row in rows(name, seen[name], [one.group for one in data[name]])]
    sys.stderr.write("".join(f"{honesty(name, own)}\n" for name, own in seen.items()))
    table = "\n".join(
        f"{row.recording[:34]:<36}{row.rule:<30}{row.accuracy:>8.1%}{row.samples:>8.2f}" for row in found
    )
    sys.stdout.write(
        (json.dumps([asdict(row) for row in found], indent=1) if arguments.json else table) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
