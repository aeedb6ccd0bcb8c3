"""Redaction takes out what must not be written down, and leaves the rest as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.redaction import Redaction

CANARY = "Zq7" + "5e1c9a70b36d84f2" * 2
"""The same in every process: it is part of test names."""


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f'{{"authorization": "Bearer {CANARY}"}}',
        f"x-api-key: {CANARY}",
        f"'X-Goog-Api-Key': '{CANARY}'",
        f"Cookie: session={CANARY}; other={CANARY}",
        f"https://user:{CANARY}@example.org/v1",
        f"postgresql://{CANARY}@db/x",
        f"https://example.org/v1?key={CANARY}&x=1",
        f"https://example.org/v1?x=1&token={CANARY}",
        f"api_key={CANARY}",
        f'"apiKey": "{CANARY}"',
        f"client_secret: {CANARY}",
        f"password = '{CANARY}'",
        f"the token is bearer {CANARY}",
        f"sk-{CANARY}",
        f"sk-ant-api03-{CANARY}",
        f"sk-proj-{CANARY}",
        f"hf_{CANARY}",
        f"ghp_{CANARY}",
        f"github_pat_{CANARY}",
        f"xoxb-{CANARY}",
        f"amw_{CANARY}",
        f"AIza{CANARY}",
        f"eyJhbGciOiJI.eyJzdWIi{CANARY}.{CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
    ],
)
def test_a_credential_is_taken_out_wherever_it_stands(text: str) -> None:
    found = Redaction()(f"before {text}\nafter")
    assert CANARY not in found
    assert found.startswith("before ")
    assert "[secret]" in found


def test_what_follows_a_credential_on_other_lines_stays() -> None:
    assert Redaction()("x-api-key: abcdefgh\nThe answer is 4.") == "x-api-key: [secret]\nThe answer is 4."


@pytest.mark.parametrize(
    "text",
    [
        "If 3 pens cost 12, then 7 cost 28.",
        "the key idea: add both sides",
        "a token is a piece of text; tokens = 512",
        "Basic arithmetic shows that 2 + 2 = 4",
        "risk-averse task-management sk-short",
        "4111111111111112 is not a card",
        "pi is 3.14159265358979323846",
        "see https://example.org/a@b and mail me @home",
        "+1 more, +2 more",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redaction(personal=True)(text) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail ann.lee+x@mail.example.co.uk now", "mail [email] now"),
        ("call +49 (0)30 1234567.", "call [phone]."),
        ("card 4111 1111 1111 1111!", "card [card]!"),
        ("card 5500-0000-0000-0004", "card [card]"),
        ("to DE89 3704 0044 0532 0130 00 please", "to [account] please"),
    ],
)
def test_what_names_a_person_is_taken_out_only_when_asked_for(text: str, found: str) -> None:
    assert Redaction(personal=True)(text) == found
    assert Redaction()(text) == text


def test_secret_values_of_the_environment_are_found_by_their_names() -> None:
    environment = {
        "MY_KEY": "opensesame1",
        "DB_PASSWORD": "opensesame1-longer",
        "API_TOKEN": "short",
        "HOME": "/home/opensesame",
    }
    redaction = Redaction.of(environment)
    assert redaction.secrets == ("opensesame1-longer", "opensesame1")
    assert redaction("a opensesame1-longer b opensesame1 c short /home/opensesame") == (
        "a [secret] b [secret] c short /home/opensesame"
    )


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", CANARY)
    assert Redaction.of()(f"it said {CANARY}") == "it said [secret]"


def test_secrets_are_not_in_its_repr() -> None:
    assert CANARY not in repr(Redaction((CANARY,)))


def test_json_values_are_redacted_in_every_depth_and_keep_their_shape() -> None:
    value = {"a": [1, None, True, 0.5, (f"sk-{CANARY}",)], f"hf_{CANARY}": {"b": "plain"}}
    assert Redaction().plain(value) == {
        "a": [1, None, True, 0.5, ["[secret]"]],
        "[secret]": {"b": "plain"},
    }


@settings(max_examples=60)
@given(st.text(alphabet="ab@:/.=&?+- \n'\"01sk_", max_size=80))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redaction = Redaction(personal=True)
    once = redaction(text)
    assert redaction(once) == once


def test_long_hostile_text_is_read_in_linear_time() -> None:
    for piece in (
        "a@",
        "1 ",
        "://",
        "sk-",
        "eyJ",
        "+1",
        "authorization",
        "a.",
        "-----BEGIN PRIVATE KEY-----",
    ):
        assert isinstance(Redaction(personal=True)(piece * 20_000), str)
