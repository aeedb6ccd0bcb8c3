"""The whole main job on the embedded model pair: sample, score the steps, calibrate, decide."""

from adaptive_middleware import Middleware, Request, lab, report
from adaptive_middleware.sampling.local import load_sampler

CONFIG = {
    "version": 1,
    "prm": {"kind": "lab"},
    "calibration": "lab",
    "policies": {
        "default": {
            "strategy": "best-of-n",
            "policy": {"kind": "optimal-stopping", "target": 0.9, "give_up": 0.02},
            "max_samples": 8,
        }
    },
}
QUESTION = "Ana has 34 pens. She buys 17 more. She gives 8 pens to Tom. How many pens does Ana have now?"


def main() -> None:
    """Answer one question and explain the decision."""
    sampler = load_sampler(lab.POLICY, seed=1)
    outcome = Middleware.from_config(CONFIG).run(Request(QUESTION), sampler)
    print(outcome.chosen.text)
    told = report(outcome) or {}
    print("p =", told["p"], "lower =", told["lower"], "samples =", told["samples"])
    for decision in outcome.decisions:
        print("-", decision.because)


if __name__ == "__main__":
    main()
