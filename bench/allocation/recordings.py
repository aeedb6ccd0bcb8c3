"""What the leaderboard runs on: the standard recordings, or any files in the documented format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path as File

from adaptive_middleware.recording import Problem, read_recording

ROOT = File(__file__).parents[2]
LAB_CALIBRATION = "adaptive_middleware/lab/calibration.json"
_MOST = 64
_REPLAYS = 2400
_FEWEST, _MOST_ORDERS = 12, 100


@dataclass(frozen=True, slots=True)
class Source:
    """A recording by name: its file, and what is not to be seen in it.

    `about` is one line for readers, `reference` the N of the fixed rows that rules are compared with (0: the
    largest power of two up to 16 for which there are samples), `verified` treats samples as checked by
    running them, `calibration` is a bundle relative to the project that was fitted on other problems.
    `against` are the selections whose fixed N is a reference.
    """

    name: str
    file: File
    about: str = ""
    reference: int = 0
    verified: bool = False
    calibration: str | None = None
    against: tuple[str, ...] = ("argmax", "majority")


@dataclass(frozen=True, slots=True)
class Pool:
    """A recording that was read: its problems, and how they are replayed.

    `limit` samples is the most a rule may draw of any problem, `repeats` the number of orders per problem,
    `units` says what tokens are.
    """

    source: Source
    problems: tuple[Problem, ...]
    verified: bool
    limit: int
    reference: int
    repeats: int
    units: str


_LAB = Source(
    "lab_heldout",
    ROOT / "bench/lab/data/heldout.jsonl.gz",
    "the shipped model pair on its held-out arithmetic stories; process reward model scores, log-probabilities",
    calibration=LAB_CALIBRATION,
    against=("argmax",),
)
_POOLS = (
    Source(
        "crucible_math500_skywork",
        File("crucible_math500_skywork.jsonl.gz"),
        "MATH-500 problems with whole-answer scores of the Skywork process reward model",
    ),
    Source(
        "qwen_math100_x8_rm",
        File("qwen_math100_x8_rm.jsonl.gz"),
        "easy MATH problems with scores of a Qwen reward model",
    ),
    Source(
        "esc_lastletters_gpt35",
        File("esc_lastletters_gpt35_500x40.jsonl.gz"),
        "GPT-3.5 joins last letters; no scores",
        reference=40,
    ),
    Source(
        "p3_codex_med_397",
        File("p3_codex_med_397_n1000.jsonl.gz"),
        "Codex on programming puzzles; unit tests",
    ),
    Source(
        "cruxeval_input_codellama7b",
        File("cruxeval_input_codellama7b_800x10.jsonl.gz"),
        "CodeLlama-7B guesses inputs of functions, each checked by running it",
        verified=True,
    ),
)


def standard() -> tuple[Source, ...]:
    """The recordings of the standard run; pools are in `shared/pools`, beside the project or in ADAPTIVE_SHARED."""
    pools = File(os.environ.get("ADAPTIVE_SHARED", ROOT.parent / "shared")) / "pools"
    return (_LAB, *(replace(one, file=pools / one.file) for one in _POOLS))


def given(files: Sequence[str]) -> tuple[Source, ...]:
    """Recordings by file, named like the file without its endings."""
    return tuple(
        Source(File(file).name.removesuffix(".gz").removesuffix(".jsonl"), File(file)) for file in files
    )


def load(source: Source, orders: int = 0) -> Pool:
    """The pool of a recording; raises `RecordingError` as `read_recording` does.

    Each problem is replayed in so many `orders`; 0 chooses 12 to 100, fewer for many problems. When any problem
    has only counts, or the source says so, all are verified: they then count as (n, n_correct).
    """
    problems = read_recording(source.file)
    words = any(sample.tokens_estimated for problem in problems for sample in problem.samples)
    verified = source.verified or any(problem.verified for problem in problems)
    smallest = min(problem.size for problem in problems)
    limit = smallest if verified else min(smallest, _MOST)
    return Pool(
        source,
        tuple(_with_question_tokens(problem, words=words) for problem in problems),
        verified,
        limit,
        source.reference or _power_of_two(min(limit // 2, 64) if verified else min(limit, 16)),
        orders or max(min(_REPLAYS // len(problems), _MOST_ORDERS), _FEWEST),
        "counted in words" if words else "as recorded, a question's estimated as its characters / 4",
    )


def _with_question_tokens(problem: Problem, *, words: bool) -> Problem:
    """The problem with the length of its question, in the unit of its answers; unknown without a question."""
    if problem.question_tokens is not None or not problem.question:
        return problem
    tokens = len(problem.question.split()) if words else ceil(len(problem.question) / 4)
    return replace(problem, question_tokens=tokens)


def _power_of_two(most: int) -> int:
    return 1 << (max(most, 1).bit_length() - 1)
