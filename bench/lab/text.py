"""Token ids of prompts, answers and steps: the one place that knows the layout."""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

from transformers import PreTrainedTokenizerFast

from bench.lab import paths

MARKER = "<extra_0>"


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """The lab's tokenizer."""
    found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(paths.POLICY)
    return found


def prompt_text(question: str) -> str:
    """The chat template with the generation prompt."""
    chat = [{"role": "user", "content": question}]
    return str(tokenizer().apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


@cache
def _frame() -> tuple[list[int], list[int]]:
    head, tail = prompt_text("\0").split("\0")
    return tokenizer()(head)["input_ids"], tokenizer()(tail)["input_ids"]


@lru_cache(maxsize=200_000)
def _plain(text: str) -> tuple[int, ...]:
    return tuple(tokenizer()(text, split_special_tokens=True)["input_ids"])


def plain(text: str) -> list[int]:
    """Ids of text in which nothing is special."""
    return list(_plain(text))


def prompt(question: str) -> list[int]:
    """Ids of the chat template around a question."""
    head, tail = _frame()
    return [*head, *plain(question), *tail]


def answer(steps: Sequence[str]) -> list[int]:
    """A finished answer as the policy writes it: lines, then the end token."""
    return [*plain("\n".join(steps)), tokenizer().eos_token_id]


@cache
def marker_id() -> int:
    """The id of the step marker."""
    return int(tokenizer().get_vocab()[MARKER])


def written(tokens: Sequence[int]) -> str:
    """The text of sampled tokens, without the special ones."""
    return str(tokenizer().decode(list(tokens), skip_special_tokens=True))


def marked(steps: Sequence[str]) -> list[list[int]]:
    """The steps as the PRM reads them: each without its newline, the marker after it."""
    return [[*plain(step.strip("\n")), marker_id()] for step in steps]


def prefix_tokens(steps: Sequence[str], done: bool) -> int | None:
    """Tokens that the policy has written so far: lines with their ends, or a whole answer with its end token."""
    if not steps:
        return None
    return len(answer(steps)) if done else len(plain("".join(f"{step}\n" for step in steps)))


def step_tokens(sample: str, ends: Sequence[int], tokens: int) -> list[int]:
    """Tokens of each step of a sampled text; the last one's hold what is left of `tokens`, the end token too."""
    counts = [len(plain(sample[start:end])) for start, end in pairwise((0, *ends))]
    return [*counts[:-1], tokens - sum(counts[:-1])]
