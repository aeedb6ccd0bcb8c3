"""The scorer gives the lab's process reward model exactly the ids that it was trained on."""

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.checkpoint import Checkpoint
from adaptive_middleware.pretrained import load_tokenizer
from adaptive_middleware.scoring.families import Options, qwen_math_prm
from adaptive_middleware.scoring.rows import render
from bench.lab import paths, text

# the architecture of the trained model, whether or not its weights are there yet
CHECKPOINT = Checkpoint(paths.PRM, {"model_type": "qwen2"}, {})
LAYOUT = qwen_math_prm(load_tokenizer(CHECKPOINT), Options()).layout
words = st.lists(st.sampled_from(["Tom", "has", "3", "12", "x", "=", "7", "<extra_0>", "ü"]), max_size=6).map(
    " ".join
)


@given(question=words, steps=st.lists(words, max_size=4))
def test_the_lab_is_rendered_as_in_its_training(question: str, steps: list[str]) -> None:
    [row], first = render(LAYOUT, question, [step + "\n" for step in steps], 1000)
    expected = text.prompt(question)
    for piece in text.marked(steps or [""]):
        expected = [*expected, *piece]
    assert (list(row.ids), first) == (expected, 0)
    assert [row.ids[position] for position in row.positions] == [text.marker_id()] * max(1, len(steps))
