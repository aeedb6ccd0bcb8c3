import json
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_middleware.answers import canonical_answer, equal_answers, text_answer, written_answer
from adaptive_middleware.normal import normal_answer, number
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Path, ToolCall

prose = st.text(st.sampled_from(" abcdefgh\n.,"), max_size=40).filter(lambda text: "answer" not in text)
PIECES = [
    *r"\{}[]()$#.,-/^_%°=: 0123456789aeinosrwxbd",
    "\n",
    "```json\n",
    r"\boxed{",
    r"\frac",
    r"\text{",
    r"\times 10^",
    "answer is ",
]
anything = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}", "42"),
        (r"first \boxed{1}, corrected to \boxed{2}.", "2"),
        (r"\boxed{\frac{1}{1+\frac{1}{2}}} is it", r"\frac{1}{1+\frac{1}{2}}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"the set \boxed{\{1, 2\}}", r"\{1,2\}"),
        (r"\boxed{3} then cut off: \boxed{\frac{1}{", "3"),
        (r"\boxed{} but 5", "5"),
        (r"\boxed 9", "9"),
        (r"\fbox{9} of 10", "9"),
        ("#### Step 1: add 3\nSo 4 + 3 = 7.", "7"),
        ("2 + 2 = 4\n#### 4", "4"),
        ("3 of them\n#### blue", "blue"),
        ("#### 1,250\nHope that helps with question 3!", "1250"),
        ("The answer is yajo.", "yajo"),
        ("The answer is: 3.50. It took 2 steps.", "7/2"),
        ("**Answer:** x = 5", "5"),
        ("answer:\n\n Paris\n", "paris"),
        ("The answer is 1. No, wait: the answer is 2!", "2"),
        ("The answer is that Ann keeps 5 apples of the 12 that she bought", "12"),
        (
            "The answer is that nobody who was asked about it could say",
            "that nobody who was asked about it could say",
        ),
        ("7 - 2 = 5", "5"),
        ("so x = -5", "-5"),
        ("counting down 9-5", "5"),
        ("-8", "-8"),
        ("it costs $1,234.50 in all.", "2469/2"),
        (r"we get \frac{14}{3}$", "14/3"),
        (r"we get $-\dfrac{14}{3}$", "-14/3"),
        ("a chance of 3/4.", "3/4"),
        ("about .5", "1/2"),
        ('{"b": [1.0, 2.5], "a": "x"}', '{"a":"x","b":[1,2.5]}'),
        (' [3, {"k": null}] ', '[3,{"k":null}]'),
        ('Here:\n```json\n{"b": 1}\n```\n```JSON\n{"a": 1}\n```', '{"a":1}'),
        ("{not json 5}", "5"),
        ("[NaN, 5]", "5"),
    ],
)
def test_the_answer_of_a_text(text: str, answer: str) -> None:
    assert text_answer(text) == answer


@pytest.mark.parametrize("text", ["", " \n", "I do not know.", "no box: \\boxed", "The answer is", "####"])
def test_a_text_without_an_answer_has_none(text: str) -> None:
    assert text_answer(text) is None
    assert written_answer(text) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1,000", "1000"),
        ("3.0", "3"),
        ("1/2", "0.5"),
        ("0.50", r"\frac12"),
        (r"\frac{1}{2}", r"\dfrac 1 2"),
        (r"\tfrac{1.5}{3}", "2/4"),
        ("50%", r"50\%"),
        ("42 cm", r"42 \, \text{inches}"),
        ("90^\\circ", "90"),
        ("90°", r"90^{\circ}"),
        ("12 cm^2", "12"),
        (r"5\text{ m}^2", "5"),
        ("$78", r"\$78.00"),
        ("78.", "**78**"),
        ("x = 5", "5"),
        ("f(x) = 2x", "2x"),
        ("2 1/2", r"2\frac{1}{2}"),
        ("1e3", r"1 \times 10^{3}"),
        ("2.5e-1", "1/4"),
        ("+7", "7"),
        ("−7", "-7"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"11\sqrt2", r"11 \sqrt{2}"),
        ("x_{1}", "x_1"),
        ("Evelyn", r"\text{evelyn}"),
        ("6 + 9i", "6+9i"),
        (r"x \leq 5", r"x \le 5"),
    ],
)
def test_two_spellings_of_one_answer_are_equal(first: str, second: str) -> None:
    assert equal_answers(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1/3", "0.333333333333333333"),
        ("5", "-5"),
        ("5", "5i"),
        ("5 x", "5"),
        ("3 and 4", "3"),
        ("1,2", "12"),
        ("(1, 2)", "(2, 1)"),
        ("1/0", "0"),
        ("x_1", "x_2"),
        ("X", "x"),
        (r"-2\frac{-1}{2}", "-3/2"),
        (None, None),
        (None, "1"),
        ("1", None),
    ],
)
def test_different_answers_are_not_equal(first: str | None, second: str | None) -> None:
    assert not equal_answers(first, second)


def test_numbers_are_exact() -> None:
    tenth = "0." + "1" * 40
    assert number(tenth) == Fraction(int("1" * 40), 10**40)


@pytest.mark.parametrize("text", ["1e999999999", "1/0", r"\frac{1}{0}", "9" * 5000, "1.2.3", "", "-", "two"])
def test_what_is_no_number_of_sane_size_has_no_value(text: str) -> None:
    assert number(text) is None


@given(st.fractions(max_denominator=10**6))
def test_every_fraction_is_read_back_exactly(value: Fraction) -> None:
    assert number(str(value)) == value
    assert text_answer(f"so it is {value}") == str(value)


@given(st.integers(-(10**12), 10**12), st.integers(0, 999))
def test_thousands_separators_and_decimals_do_not_change_a_number(whole: int, thousandths: int) -> None:
    plain = f"{abs(whole)}.{thousandths:03d}"
    grouped = f"{abs(whole):,}.{thousandths:03d}"
    expected = abs(whole) + Fraction(thousandths, 1000)
    assert number(plain) == number(grouped) == expected


@given(anything)
@example("{" * 3000)
@example("[" * 100_000)
@example('{"a": ' + "9" * 5000 + "}")
@example(r"\boxed{\text{\text{}}")
@example("٣")
@example("\ud800 = 5")
def test_any_text_has_an_answer_or_none_and_it_is_its_own_normal_form(text: str) -> None:
    answer = text_answer(text)
    assert answer is None or answer
    assert written_answer(text) is None or written_answer(text)
    if answer is not None and answer[0] not in "{[":
        assert normal_answer(answer) == answer


@given(anything)
@example("3.0" + " " * 500)
@example(r"\frac12" * 60)
@example("a b " * 200)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normal_answer(normal_answer(text)) == normal_answer(text)


@given(prose, st.integers(-9999, 9999), st.sampled_from(["", " ", "\n\n", "."]))
def test_a_box_is_found_whatever_surrounds_it(before: str, value: int, after: str) -> None:
    assert text_answer(f"{before}\\boxed{{ {value} }}{after}{before}") == str(value)


@given(prose, st.integers(0, 9999), st.sampled_from(["", " ", "\n\n", ".", "\n"]))
def test_the_last_number_is_found_whatever_stands_before_it(before: str, value: int, after: str) -> None:
    assert text_answer(f"{before} {value}{after}") == str(value)


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_answers_do_not_depend_on_their_layout(value: object) -> None:
    wrapped = {"value": value}
    assert text_answer(json.dumps(wrapped)) == text_answer(json.dumps(wrapped, indent=3, ensure_ascii=False))


def test_equal_tool_calls_are_equal_answers_whatever_their_ids_and_key_order() -> None:
    first = Path(("thinking",), tool_calls=(ToolCall("add", {"a": 1, "b": [2]}, id="x"),))
    second = Path((), tool_calls=(ToolCall("add", {"b": [2], "a": 1}, id="y"),))
    assert canonical_answer(first) == canonical_answer(second) == '[["add",{"a":1,"b":[2]}]]'


def test_tool_calls_with_other_arguments_are_other_answers_and_their_order_does_not_count() -> None:
    one, two = ToolCall("f", {"a": 1}), ToolCall("f", {"a": 2})
    answers = {canonical_answer(Path(tool_calls=calls)) for calls in ((one,), (two,), (one, two), (two, one))}
    assert len(answers) == 3


def test_arguments_that_a_rule_ignores_do_not_tell_answers_apart() -> None:
    rules = [ToolRule("f", ignore=("why",))]
    first, second = (Path(tool_calls=(ToolCall("f", {"a": 1, "why": why}),)) for why in ("x", "y"))
    assert canonical_answer(first, rules) == canonical_answer(second, rules)
    assert canonical_answer(first) != canonical_answer(second)


def test_a_value_that_is_not_json_in_a_tool_call_still_gives_an_answer() -> None:
    assert canonical_answer(Path(tool_calls=(ToolCall("f", {"a": Fraction(1, 2)}),))) == '[["f",{"a":"1/2"}]]'


def test_the_written_answer_keeps_its_spelling() -> None:
    assert written_answer(r"it is $\boxed{\frac12}$.") == r"\frac12"
    assert written_answer("it is 3.0.") == "3.0"


@pytest.mark.parametrize(
    "piece",
    [
        r"\boxed{", r"\boxed ", "{", "}", "{}", "#### ", "#", "answer is ", "answer: ", "answer", " ", "\n", "1", "1,", "1,111,",
        "1.", "/", r"\frac{", r"\frac{1}{", "```json\n", "```json\n[", "[", '{"a":', "$", r"\text{", "-", "\\", "9 kilo ",
    ],
)  # fmt: skip
def test_a_megabyte_of_hostile_text_is_read(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    text_answer(text)
    normal_answer(text)
