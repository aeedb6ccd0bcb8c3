"""Answers written by a model in this process, read step by step: which go on, which are dropped, and why."""

from adaptive_middleware import Middleware, Request, lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.policy import optimal_stopping, worth_finishing
from adaptive_middleware.sampling.local import load_sampler
from adaptive_middleware.sampling.local_stream import LocalStreamer
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.types import Candidate, Decision, State

QUESTION = "Ana has 264 pens. She buys 158 more. She gives 87 pens to Tom. How many pens does Ana have now?"
KEEP = worth_finishing(0.03, 40, 2.0, 2.0)


def told(state: State, answer: Candidate) -> Decision:
    """Say of every step what it is worth, and decide as `worth_finishing` does."""
    decision = KEEP(state, answer)
    p = float("nan") if answer.estimate is None else answer.estimate.mean
    last = answer.path.steps[-1].strip()
    print(f"    p = {p:.2f}  {last:<24}  {'reads on' if decision.more else decision.because}")
    return decision


def main() -> None:
    """One call: draw four at a time, score every step, drop what is not worth finishing."""
    sampler = load_sampler(lab.POLICY, seed=11)
    scorer = load_scorer(lab.PRM)
    calibrate = bundle.load(lab.CALIBRATION, prm=scorer.id).calibration
    policy = optimal_stopping(0.97, 0.03, 4, 1.6, 40)
    strategy = prune(policy, told, 16, calibrate)
    outcome = Middleware(strategy, scorer=scorer).run(
        Request(QUESTION), sampler, streamer=LocalStreamer(sampler, "lines")
    )
    print(outcome.chosen.text)
    finished, dropped = len(outcome.considered), len(outcome.dropped)
    print(
        f"{finished} answers finished, {dropped} dropped on the way; {outcome.usage.completion_tokens} tokens drawn, ",
        end="",
    )
    print(f"{outcome.usage.prm_tokens} read by the process reward model; {outcome.decisions[-1].because}")


if __name__ == "__main__":
    main()
