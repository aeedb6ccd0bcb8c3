"""What YAML and TOML hide is shown: every trap is an error with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError

POLICY = "version: 1\npolicies:\n  default:\n    strategy: best-of-n\n"
CASES = {
    # The document, where the error stands, and what it has to say.
    "octal": (POLICY + "    max_samples: 010\n", 5, 18, ["'010'", "octal", "without the leading 0"]),
    "octal with underscore": (POLICY + "    max_samples: 0_10\n", 5, 18, ["'0_10'", "octal"]),
    "hexadecimal": (POLICY + "    max_samples: 0x10\n", 5, 18, ["'0x10'", "decimal digits"]),
    "underscore": (POLICY + "    max_samples: 1_000\n", 5, 18, ["'1_000'", "plain decimal"]),
    "exponent without dot": (POLICY + "    max_samples: 1e3\n", 5, 18, ["'1e3'", "text", "in full"]),
    "exponent for a float": (POLICY + "    budget: {seconds: 1e1}\n", 5, 23, ["'1e1'", "text"]),
    "base 60": (POLICY + "    budget: {seconds: 12:30}\n", 5, 23, ["'12:30'", "base 60", "seconds"]),
    "base 60 fraction": (POLICY + "    budget: {seconds: 1:30.5}\n", 5, 23, ["'1:30.5'", "base 60"]),
    "infinity": (POLICY + "    budget: {seconds: .inf}\n", 5, 23, ["'.inf'", "finite"]),
    "minus infinity": (POLICY + "    budget: {seconds: -.INF}\n", 5, 23, ["'-.INF'", "finite"]),
    "not a number": (POLICY + "    budget: {seconds: .nan}\n", 5, 23, ["'.nan'", "finite"]),
    "overflow": (POLICY + "    budget: {seconds: 1.0e+999}\n", 5, 23, ["1.0e+999"]),
    "too many digits": (POLICY + "    max_samples: " + "9" * 5000 + "\n", 5, 18, ["plain decimal number"]),
    "True for a number": (POLICY + "    budget: {seconds: True}\n", 5, 23, ["'True'", "boolean", "a number"]),
    "yes for a count": (POLICY + "    max_samples: yes\n", 5, 18, ["'yes'", "boolean", "whole number"]),
    "float for a count": (POLICY + "    max_samples: 3.0\n", 5, 18, ["3.0", "whole number"]),
    "quoted count": (POLICY + '    max_samples: "16"\n', 5, 18, ["'16'", "remove the quotes"]),
    "no as text": (
        POLICY + "  x: {strategy: pass-through, when: {tags: [a, no]}}\n",
        5,
        48,
        ["'no'", "quote"],
    ),
    "off for a word": (POLICY + "    select: off\n", 5, 13, ["'off'", "boolean false", "'majority'"]),
    "number as text": ("version: 1\ncalibration: 7\n", 2, 14, ["7", "must be text", "quote it"]),
    "date": ("version: 1\ncalibration: 2026-01-02\n", 2, 14, ["'2026-01-02'", "date", "quote it"]),
    "equals sign": ("version: 1\ncalibration: =\n", 2, 14, ["'='", "special key"]),
    "no value": ("version: 1\ncalibration:\n", 2, 13, ["calibration has no value", "remove the key"]),
    "tilde": ("version: 1\nprm: ~\n", 2, 6, ["prm has no value"]),
    "duplicate key": (POLICY + "    strategy: pass-through\n", 5, 5, ["'strategy'", "twice", "line 4"]),
    "duplicate in flow": ("version: 1\nbudget: {per_call: {tokens: 1, tokens: 2}}\n", 2, 32, ["twice"]),
    "boolean key": ("version: 1\npolicies:\n  on: {strategy: pass-through}\n", 3, 3, ["'on'", "boolean"]),
    "number key": ("version: 1\npolicies:\n  7: {strategy: pass-through}\n", 3, 3, ["'7'", "a number"]),
    "null key": ("version: 1\n~: 3\n", 2, 1, ["'~'", "nothing"]),
    "list key": ("version: 1\n[a, b]: 3\n", 2, 1, ["cannot be a key"]),
    "anchor": ("version: &one 1\n", 1, 10, ["anchors", "repeat"]),
    "alias": ("policies:\n  default: {strategy: &s pass-through}\n", 2, 23, ["anchors"]),
    "undefined alias": ("version: *one\n", 1, 10, ["aliases"]),
    "merge key": ("version: 1\nbudget:\n  <<: {per_call: {tokens: 1}}\n", 3, 3, ["merge keys"]),
    "python tag": ("version: !!python/object/apply:os.system [true]\n", 1, 10, ["tag", "python/object"]),
    "number tag": ('version: !!int "1"\n', 1, 10, ["tag"]),
    "local tag": ("version: !secret x\n", 1, 10, ["tag '!secret'"]),
    "two documents": ("version: 1\n---\nversion: 1\n", 2, 1, ["single document"]),
    "tab indentation": ("version: 1\npolicies:\n\tdefault: 3\n", 3, 1, ["not valid YAML"]),
    "open bracket": ("version: [1\n", 2, 1, ["not valid YAML"]),
    "deep nesting": ("version: " + "[" * 60 + "]" * 60, 1, 42, ["deeper than 32"]),
    "control character": ("version: 1\nprm: \x07\n", 2, 6, ["'\\x07'", "not allowed"]),
    "impossible escape": ('version: "\\UFFFFFFFF"\n', 1, 13, ["not valid YAML"]),
    "half a character": ('version: 1\ncalibration: "\\uD800"\n', 2, 14, ["surrogate"]),
    "not a mapping": ("just text\n", 1, 1, ["'just text'", "must be a mapping"]),
    "a list": ("- version: 1\n", 1, 1, ["a list", "must be a mapping"]),
    "only a comment": ("# nothing\n", 1, 1, ["empty"]),
    "carriage returns": ("version: 1\r\ncalibration: 7\r\n", 2, 14, ["must be text"]),
    "byte order mark": ("\ufeffversion: 01\n", 1, 10, ["octal"]),
}
TOML = {
    "not TOML": ("version = \n", 1, 11, ["not valid TOML", "Invalid value"]),
    "unclosed at the end": ("version = [1,\n", 2, None, ["not valid TOML"]),
    "duplicate key": ("version = 1\nversion = 1\n", 2, 12, ["not valid TOML", "overwrite"]),
    "leading zero": ("version = 01\n", 1, 12, ["not valid TOML"]),
    "huge integer": ("version = " + "9" * 5000, None, None, ["not valid TOML"]),
    "deep nesting": ("version = " + "[" * 100_000, None, None, ["not valid TOML"]),
    "infinity": ("version = 1\n[budget.per_call]\nseconds = inf\n", 3, 11, ["inf", "finite"]),
    "boolean": ("version = 1\n[budget.per_call]\nseconds = true\n", 3, 11, ["boolean", "a number"]),
    "typo under a header": ("version = 1\n[budget.per_cal]\ntokens = 1\n", 2, 1, ["did you mean 'per_call'"]),
    "typo after long text": (
        "version = 1\ncalibration = '''\na = 1\n\n'''\nbudgett = 1\n",
        6,
        1,
        ["'budget'"],
    ),
    "typo after quotes in a comment": (
        "version = 1 # '''\n[budget] # \"\"\"\nper_cal = 1\n",
        3,
        1,
        ["'per_call'"],
    ),
    "typo after a list that looks like a header": (
        "version = 1\n[prm]\nkind = 'python'\ntarget = 'a:b'\nargs.x = [\n[1, 2]\n]\nargz = 1\n",
        8,
        1,
        ["argz", "'args'"],
    ),
    "dotted key": ("version = 1\nbudget.per_call.tokens = 'x'\n", 2, 26, ["'x'", "whole number"]),
    "quoted table": (
        'version = 1\n[policies."my.own"]\nstrategy = "pass-through"\n',
        2,
        1,
        ["'when'", "my.own"],
    ),
    "inside an inline table": ("version = 1\nprm = {kind = 'lab', size = 3}\n", 2, 1, ["prm", "'size'"]),
    "inside a table in a list": ("version = 1\n[[policies]]\na = 1\n", 2, 1, ["a list", "a mapping"]),
    "missing at the top": ("[budget]\n", 1, 1, ["'version' is missing"]),
    "a date": ("version = 1\ncalibration = 2026-01-02\n", 2, 15, ["must be text"]),
}


def refused(text: str, file: Path) -> ConfigError:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        load(file)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_a_yaml_trap_is_refused_with_its_place_and_remedy(name: str, tmp_path: Path) -> None:
    text, line, column, words = CASES[name]
    error = refused(text, tmp_path / "a.yaml")
    assert (error.line, error.column) == (line, column), error
    assert "\n" not in str(error), "one trap, one problem"
    assert [word for word in words if word not in str(error)] == [], error


@pytest.mark.parametrize("name", TOML)
def test_a_toml_trap_is_refused_with_its_place_and_remedy(name: str, tmp_path: Path) -> None:
    text, line, column, words = TOML[name]
    error = refused(text, tmp_path / "a.toml")
    assert (error.line, error.column) == (line, column), error
    assert [word for word in words if word not in str(error)] == [], error


def test_what_only_looks_like_a_trap_is_read_as_written(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\nprm:\n  kind: python\n  target: m:f\n"
        '  args: {a: "010", b: \'1e3\', c: "no", d: 1.5e+2, e: -7, f: ~, g: yes, h: Off, i: 0.5, j: "12:30", k: x1e3}\n'
    )
    settings = load(file).settings
    assert settings.prm is not None
    assert settings.prm.model_dump()["args"] == {
        "a": "010", "b": "1e3", "c": "no", "d": 150.0, "e": -7, "f": None, "g": True, "h": False, "i": 0.5,
        "j": "12:30", "k": "x1e3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.yaml", "not there"),
        ("folder.yaml", "a directory"),
        ("config.json", "named .yaml, .yml or .toml"),
        ("config", "named .yaml, .yml or .toml"),
        ("nul\0byte.yaml", "not there"),
        ("x" * 5000 + ".toml", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=words) as caught:
        load(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"  \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_says_how_to_begin(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.yml:1:1: the file is empty; begin with 'version: 1'"):
        load(str(tmp_path / "a.yml"))


def test_bytes_that_are_not_utf8_are_located(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"version: 1\nprm: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:2:6: byte 0xff is not UTF-8"):
        load(tmp_path / "a.yaml")


def test_a_file_over_256_kib_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load(tmp_path / "a.yaml")


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor(tmp_path: Path) -> None:
    levels = [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)]
    error = refused("\n".join(["a: &a lol", *levels]), tmp_path / "a.yaml")
    assert (error.line, error.column) == (1, 4)
