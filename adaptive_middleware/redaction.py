"""Redaction: what must not be written down is taken out of a text before it reaches a file, a page, a log or a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

SHORTEST_SECRET = 8
"""Characters that a secret value must have to be looked for: a shorter one would be found in ordinary words."""

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_QUOTE = r"""["']?"""
_HEADERS = "authorization|proxy-authorization|x-api-key|api-key|x-goog-api-key|cookie|set-cookie"
_FIELDS = "api[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|refresh[_-]?token|password|passwd"
_CREDENTIALS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(rf"\b(?P<kept>(?:{_HEADERS}){_QUOTE}\s*[:=]\s*{_QUOTE})[^\r\n\"']{{4,}}", re.IGNORECASE),
    re.compile(rf"(?P<kept>(?:{_FIELDS}){_QUOTE}\s*[:=]\s*{_QUOTE})[^\s\"'&,;}})]{{4,}}", re.IGNORECASE),
    re.compile(r"(?P<kept>[?&](?:key|token|sig|signature|secret)=)[^\s\"'&#]{4,}", re.IGNORECASE),
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"']+@", re.IGNORECASE),
    re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)(?=\S{0,19}\d|\S{20})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"\b(?:sk|pk|rk|amw|hf|gh[opsur]|github_pat|glpat|npm|pypi|xox[a-z]|lsv2)[-_][\w-]{12,}"),
    re.compile(r"\bAIza[\w-]{30,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ ().-]{0,2}\d){7,12}(?!\w)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_PERSONAL = ((_EMAIL, "email"), (_IBAN, "account"), (_PHONE, "phone"))


@dataclass(frozen=True, slots=True)
class Redaction:
    """Takes credentials out of texts, and with `personal` what names a person: email, phone, card and account numbers.

    Credentials are the values in `secrets`, wherever they stand, and what looks like one: headers and fields that carry
    keys, user and password in a URL, bearer tokens, private keys, and the prefixes that providers give their keys. It finds what
    has such a form, not what a reader would understand: names and addresses of people stay.

    >>> Redaction()("curl -H 'Authorization: Bearer abcdef123456' https://me:pw@host/v1?key=abcd1234")
    "curl -H 'Authorization: [secret]' https://[secret]host/v1?key=[secret]"
    >>> Redaction(personal=True)("ask ann@example.org, +44 20 7946 0958")
    'ask [email], [phone]'
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    personal: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None, *, personal: bool = False) -> Self:
        """A redaction that knows the secret values of an environment (default: this process's), by their names."""
        found = os.environ if environment is None else environment
        values = {value.strip() for name, value in found.items() if _NAMED.search(name)}
        known = sorted((each for each in values if len(each) >= SHORTEST_SECRET), key=len, reverse=True)
        return cls(tuple(known), personal)

    def __call__(self, text: str) -> str:
        """The text without what must not be written down."""
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        for pattern in _CREDENTIALS:
            text = pattern.sub(_masked, text)
        if not self.personal:
            return text
        for pattern, name in _PERSONAL:
            text = pattern.sub(f"[{name}]", text)
        return _CARD.sub(_card, text)

    def plain(self, value: object) -> object:
        """A JSON value with every text in it redacted, keys of mappings, too."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self.plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(each) for each in value]
        return value


def _masked(found: re.Match[str]) -> str:
    kept = found.groupdict().get("kept") or ""
    return f"{kept}[secret]"


def _card(found: re.Match[str]) -> str:
    return "[card]" if _luhn(found.group()) else found.group()


def _luhn(written: str) -> bool:
    """Whether the digits end in the check digit of a payment card (ISO/IEC 7812-1, annex B)."""
    return sum(_summands(written)) % 10 == 0


def _summands(written: str) -> Iterator[int]:
    digits = [int(letter) for letter in written if letter.isdigit()]
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 else digit
        yield doubled - 9 if doubled > 9 else doubled
