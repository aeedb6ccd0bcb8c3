"""Train the lab's tokenizer: byte-level BPE on the stories, every digit and every newline a token of its own.

Run as `python -m bench.lab.tokenizer`; writes it to both model folders.
"""

import itertools
import logging
from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from adaptive_middleware.lab.problems import stories
from bench.lab import paths

PAD, START, END, MARKER = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"
VOCABULARY = 1024
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# A number is preceded by a token that ends in its space, so that a number costs its digits and no more.
_PIECES = r" ?[A-Za-z]+(?: (?=\d))?| ?[^\sA-Za-z\d]+(?: (?=\d))?|\d|\s"


def _texts(count: int) -> Iterator[str]:
    for problem in itertools.islice(stories("train", seed=99), count):
        yield "user\n" + problem.question
        yield "assistant\n" + "\n".join(problem.steps)


def train(count: int = 20_000) -> PreTrainedTokenizerFast:
    """A tokenizer fitted to `count` training stories."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=20,
        special_tokens=[PAD, START, END, MARKER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(count), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START, MARKER],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tokenizer = train()
    for folder in (paths.POLICY, paths.PRM):
        tokenizer.save_pretrained(folder)
    logging.getLogger("lab").info("%d tokens in the vocabulary", len(tokenizer))


if __name__ == "__main__":
    main()
