"""Prune the streams of an OpenAI-compatible endpoint: `prune_endpoint.py [BASE_URL MODEL]`; without them, of a scripted server."""

import sys
from collections.abc import Mapping
from itertools import cycle
from re import findall
from typing import Any

from adaptive_middleware import Middleware, Request
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_http import OpenAISampler
from adaptive_middleware.sampling.openai_stream import OpenAIStream
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.testing.fake_sse import Script, answer_script, fake_sse

QUESTION = "Ana has 264 pens. She buys 158 more. She gives 87 pens to Tom. How many pens does Ana have now?"
RIGHT = "264 + 158 = 422\n422 - 87 = 335\nThe answer is 335."
WRONG = "264 - 158 = 106\n106 - 87 = 19\nThe answer is 19."
SLIP = "264 + 158 = 422\n422 - 87 = 345\nThe answer is 345."
CONFIG = {
    "version": 1,
    "prm": {"kind": "lab"},
    "calibration": "lab",
    "policies": {
        "default": {
            "strategy": "prune",
            "policy": {"kind": "optimal-stopping", "window": 4, "give_up": 0.03, "per_tokens": 40},
            "keep": {"kind": "worth-finishing", "give_up": 0.03, "per_tokens": 40},
        }
    },
}


def ask(base_url: str, model: str) -> None:
    """One call, and what became of its answers."""
    place = Endpoint(base_url, model, max_tokens=512)
    streamer = StepStreamer(OpenAIStream(place), boundary="lines")
    outcome = Middleware.from_config(CONFIG).run(Request(QUESTION), OpenAISampler(place), streamer=streamer)
    print(outcome.chosen.text.strip())
    for answer in outcome.dropped:
        print("dropped after", repr(answer.path.text))
    print(outcome.usage.completion_tokens, "tokens read;", outcome.decisions[-1].because)


def main() -> None:
    """The endpoint of the command line, or one right answer in four."""
    if sys.argv[1:]:
        ask(*sys.argv[1:3])
        return
    answers = cycle([WRONG, SLIP, RIGHT, WRONG])

    def script(_body: Mapping[str, Any]) -> Script:
        return answer_script(findall(r"\d|\s*\w+|\W", next(answers)), pause=0.01)

    with fake_sse({"scripted": script}) as server:
        ask(server.url, "scripted")


if __name__ == "__main__":
    main()
