import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adaptive_middleware.steps import split_steps

PIECES = ["a", "b.", " ", "\t", "\n", "\r", "\r\n", "\u2028", "\x85", "\x0c", "\n\n"]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)


@given(texts)
@example("\r\n\r\na\r\n\r\nb")
@example("\u2028a\u2029")
def test_joining_the_steps_gives_the_text_back(text: str) -> None:
    assert "".join(split_steps(text)) == text


@given(texts)
@example("a\x1f\n\n\x1fb")
@example("\n\n")
def test_no_step_is_blank_unless_the_whole_text_is(text: str) -> None:
    steps = split_steps(text)
    if text.strip():
        assert all(step.strip() for step in steps)
    else:
        assert steps == ([text] if text else [])


@given(st.lists(st.text(st.characters(categories=("L", "N", "P")), min_size=1), min_size=1))
def test_paragraphs_are_steps_in_their_order(paragraphs: list[str]) -> None:
    assert [step.strip("\n") for step in split_steps("\n\n".join(paragraphs))] == paragraphs


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["", " \t"])
def test_paragraphs_stay_whole_with_either_line_ending(newline: str, blank: str) -> None:
    text = newline.join(["one", "still one", blank, blank, "two"])
    assert [step.split() for step in split_steps(text)] == [["one", "still", "one"], ["two"]]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_without_blank_lines_each_line_is_a_step(newline: str) -> None:
    assert split_steps(f"one{newline}two{newline}") == [f"one{newline}", f"two{newline}"]


def test_leading_blank_lines_belong_to_the_first_step_and_do_not_make_paragraphs() -> None:
    assert split_steps("\n\n one\ntwo\n\n") == ["\n\n one\n", "two\n\n"]


def test_an_empty_text_has_no_steps() -> None:
    assert split_steps("") == []
