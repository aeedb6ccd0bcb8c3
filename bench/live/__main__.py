"""Runs the agent by every adapter that is installed here, against a real model, and prints the transcripts.

python -m bench.live.llama MODEL.gguf 8099 &      # in an environment with xllamacpp
python -m bench.live http://127.0.0.1:8099/v1
"""

from __future__ import annotations

import sys

from bench.live.agents import AGENTS, installed
from bench.live.tools import front
from bench.loopback import in_a_thread


def main() -> None:
    """Say which are left out, and why."""
    with in_a_thread(front(sys.argv[1])) as base:
        for name, (agent, module) in AGENTS.items():
            sys.stdout.write(f"\n== {name}\n")
            lines = agent(f"{base}/v1") if installed(module) else [f"not run: {module} is not installed here"]
            sys.stdout.writelines(f"{line}\n" for line in lines)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
