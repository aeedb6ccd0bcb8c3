"""Extras: what is missing is a failure only where a configuration needs it, and versions are read as pip reads them."""

from __future__ import annotations

from importlib import metadata

import pytest

from adaptive_middleware.config import Config, check
from adaptive_middleware.doctor.extras import Requirement, extras, installed, needed, requirements

WRITTEN = [
    "rich<16,>=13.9",
    "httpx2<3,>=2; extra == 'http'",
    "starlette<2,>=0.46; extra == 'server'",
    "uvicorn<1,>=0.34; extra == 'server'",
    'torch<3,>=2.6; extra == "prm"',
    "jsonschema<5,>=4.23; extra == 'tools'",
    "transformers<6,>=5; extra == 'pooling'",
    "adaptive-middleware[http,server]; extra == 'all'",
    "torch<3,>=2.6; extra == 'all'",
]


def config(**more: object) -> Config:
    made = check({"version": 1, "policies": {"default": {"strategy": "best-of-n"}}, **more})
    assert isinstance(made, Config)
    return made


def test_requirements_are_those_of_extras_alone() -> None:
    found = requirements(WRITTEN)
    assert {each.extra for each in found} == {"http", "server", "prm", "tools", "pooling"}
    assert found[0] == Requirement("http", "httpx2", (("<", "3"), (">=", "2")))


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("2", True), ("2.0.0", True), ("2.9.1", True), ("2.0rc1", True), ("1.99", False), ("3", False), ("3.0.0", False),
        ("2.13.0+cpu", True), ("junk", False),
    ],
)  # fmt: skip
def test_versions_are_numbers_not_text(version: str, fits: bool) -> None:
    assert Requirement("http", "httpx2", ((">=", "2"), ("<", "3"))).fits(version) is fits


def test_versions_agree_with_the_packaging_library_on_what_is_installed() -> None:
    specifiers = pytest.importorskip("packaging.specifiers")
    for each in requirements(metadata.requires("adaptive-middleware") or ()):
        version = installed(each.name)
        if version is not None:
            bounds = ",".join(sign + bound for sign, bound in each.bounds)
            assert each.fits(version) == specifiers.SpecifierSet(bounds, prereleases=True).contains(version)


def test_what_is_missing_is_told_without_a_failure() -> None:
    found = list(extras(None, requirements(WRITTEN), lambda name: None if name == "torch" else "2.0"))
    assert [each.status for each in found if "not installed" in each.what] == ["ok"]
    assert found[0].what == "installed: http, server, tools, pooling; not installed: prm"


def test_what_the_configuration_needs_and_is_missing_fails_with_the_command_that_installs_it() -> None:
    needs = config(upstream={"base_url": "http://x/v1"}, prm={"kind": "lab"}, calibration="lab")
    found = list(extras(needs, requirements(WRITTEN), lambda name: None))
    assert [(each.what, each.fix) for each in found if each.status == "fail"] == [
        ("prm.kind lab needs torch", "pip install 'adaptive-middleware[prm]'"),
        ("upstream needs starlette, uvicorn", "pip install 'adaptive-middleware[server]'"),
    ]


def test_a_version_outside_the_bounds_is_a_warning_once() -> None:
    versions = {
        "httpx2": "3.1",
        "starlette": "1.0",
        "uvicorn": "0.35",
        "torch": "2.6",
        "jsonschema": "4.23",
        "transformers": "5",
    }
    found = list(extras(None, requirements(WRITTEN), versions.__getitem__))
    assert [(each.status, each.what, each.fix) for each in found[1:]] == [
        ("warn", "httpx2 is 3.1; the extra http was made for httpx2<3,>=2", "pip install 'httpx2<3,>=2'")
    ]


def test_needs_are_read_from_the_whole_configuration() -> None:
    tools = {"strategy": "best-of-n", "verifier": {"kind": "tool-schema"}}
    pooling = {"kind": "pooling", "urls": ["http://x"], "model": "m", "tokenizer": "t"}
    found = needed(config(prm=pooling, policies={"default": tools}, opentelemetry={}))
    expected = {
        "pooling": "prm.kind pooling",
        "tools": "the verifier of policy 'default'",
        "otel": "opentelemetry",
    }
    assert found == expected
    assert needed(config()) == {}


def test_a_distribution_that_is_not_installed_has_no_version() -> None:
    assert installed("adaptive-middleware-of-nobody") is None


def test_a_package_without_metadata_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    (found,) = extras(None)
    assert (found.status, found.fix) == ("warn", "install it: pip install adaptive-middleware")
