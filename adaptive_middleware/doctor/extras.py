"""The optional dependencies: which are here, in versions that fit, and which of them a configuration needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from adaptive_middleware.config import Config
from adaptive_middleware.config.calls import ToolSchemaVerifier
from adaptive_middleware.config.prms import CodeSignals, LabPrm, ModelPrm, PoolingPrm, TransformersPrm
from adaptive_middleware.config.strategies import Beam, Drawing, Effort
from adaptive_middleware.doctor.finding import Finding, fail, ok, warn

DISTRIBUTION = "adaptive-middleware"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?([^;]*);.*extra == ['\"]([\w-]+)['\"]")
_BOUND = re.compile(r"(>=|<)\s*([\d.]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One distribution of an extra, with the bounds that its version must keep."""

    extra: str
    name: str
    bounds: tuple[tuple[str, str], ...] = ()

    def fits(self, version: str) -> bool:
        """Whether a version is within the bounds; only its leading numbers count.

        >>> wanted = Requirement("server", "starlette", ((">=", "0.46"), ("<", "2")))
        >>> wanted.fits("1.0.0rc1"), wanted.fits("0.45.9"), wanted.fits("2.0")
        (True, False, False)
        """
        own = _numbers(version)
        return all((own >= _numbers(bound)) == (sign == ">=") for sign, bound in self.bounds)

    def __str__(self) -> str:
        return self.name + ",".join(sign + bound for sign, bound in self.bounds)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[\d.]*", version)
    parts = found.group().strip(".").split(".") if found else []
    numbers = [int(part) for part in parts if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def requirements(written: Iterable[str]) -> list[Requirement]:
    """The requirements of extras, from a distribution's metadata.

    >>> [str(each) for each in requirements(["httpx2<3,>=2; extra == 'http'", "rich>=13"])]
    ['httpx2<3,>=2']
    """
    found = (_REQUIREMENT.match(each) for each in written)
    return [
        Requirement(each[3], each[1], tuple(_BOUND.findall(each[2])))
        for each in found
        if each and each[1] != DISTRIBUTION and each[3] != "all"
    ]


def model_of(config: Config) -> ModelPrm | None:
    """The process reward model that a configuration loads or asks; None where signals of code or votes decide."""
    prm = config.settings.prm
    return prm.then if isinstance(prm, CodeSignals) else prm


def needed(config: Config) -> Mapping[str, str]:
    """The extras that a configuration needs, and what of it needs them."""
    settings = config.settings
    found = {}
    match model_of(config):
        case LabPrm(kind=kind) | TransformersPrm(kind=kind):
            found["prm"] = f"prm.kind {kind}"
        case PoolingPrm():
            found["pooling"] = "prm.kind pooling"
    if settings.upstream is not None:
        found["server"] = "upstream"
    if settings.opentelemetry is not None:
        found["otel"] = "opentelemetry"
    for name, policy in settings.policies.items():
        if isinstance(policy, (Drawing, Beam, Effort)) and isinstance(policy.verifier, ToolSchemaVerifier):
            found["tools"] = f"the verifier of policy {name!r}"
    return found


def installed(name: str) -> str | None:
    """The version of a distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def extras(
    config: Config | None,
    wanted: Iterable[Requirement] | None = None,
    version: Callable[[str], str | None] = installed,
) -> Iterator[Finding]:
    """What is installed of the extras; a failure only for what the configuration needs."""
    known = list(_declared() if wanted is None else wanted)
    if not known:
        yield warn(
            "extras", "this package's metadata is not here", "install it: pip install adaptive-middleware"
        )
        return
    missing, strange = _lacking(known, version)
    names = dict.fromkeys(each.extra for each in known)
    here = [name for name in names if name not in missing]
    absent = [name for name in names if name in missing]
    yield ok("extras", f"installed: {_listed(here)}; not installed: {_listed(absent)}")
    for name, what in ({} if config is None else needed(config)).items():
        if name in missing:
            yield fail(
                "extras", f"{what} needs {_listed(missing[name])}", f"pip install '{DISTRIBUTION}[{name}]'"
            )
    for requirement, found in strange:
        what = f"{requirement.name} is {found}; the extra {requirement.extra} was made for {requirement}"
        yield warn("extras", what, f"pip install '{requirement}'")


def _declared() -> list[Requirement]:
    try:
        return requirements(metadata.requires(DISTRIBUTION) or ())
    except metadata.PackageNotFoundError:
        return []


def _lacking(
    known: Iterable[Requirement], version: Callable[[str], str | None]
) -> tuple[dict[str, list[str]], list[tuple[Requirement, str]]]:
    missing: dict[str, list[str]] = {}
    strange: dict[str, tuple[Requirement, str]] = {}
    for each in known:
        found = version(each.name)
        if found is None:
            missing.setdefault(each.extra, []).append(each.name)
        elif not each.fits(found):
            strange.setdefault(each.name, (each, found))
    return missing, list(strange.values())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
