"""Rules between keys: what is wrong although every key by itself is right."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise

from adaptive_middleware.config.calls import ToolSchemaVerifier, When
from adaptive_middleware.config.document import Document, KeyPath, Problem, dotted
from adaptive_middleware.config.prms import CodeSignals, TransformersPrm
from adaptive_middleware.config.problems import nearest
from adaptive_middleware.config.schema import Settings
from adaptive_middleware.config.stopping import (
    EarlyStoppingPolicy,
    FixedPolicy,
    InstanceAdaptivePolicy,
    OptimalStoppingPolicy,
    ScoreDistributionPolicy,
)
from adaptive_middleware.config.strategies import (
    Beam,
    BestOfN,
    Drawing,
    Effort,
    FirstGood,
    PassThrough,
    PolicyRule,
    Prune,
    Repair,
)

MAX_SAMPLES = 16
PRIOR = {"prior_mu", "prior_sigma", "prior_spread"}


def written_problems(document: Document) -> list[Problem]:
    """Problems that can be seen in the keys alone, whatever else is wrong with their values."""
    found = []
    policies = document.value.get("policies") if isinstance(document.value, dict) else None
    for name, policy in policies.items() if isinstance(policies, dict) else ():
        if not isinstance(policy, dict):
            continue
        path = ("policies", name)
        if name == "default" and "when" in policy:
            message = "policies.default has a 'when', but it is for all other calls; remove it, or rename the policy"
            found.append(Problem(message, (*path, "when"), document.at((*path, "when"), key=True)))
        elif name != "default" and "when" not in policy:
            message = f"key 'when' is missing in {dotted(path)}; add it, or name the policy 'default'"
            found.append(Problem(message, (*path, "when"), document.at(path, key=True)))
    return found


def contradictions(document: Document, settings: Settings) -> list[Problem]:
    """Keys of a valid document that cannot all be meant."""
    found = [*_without_prm(settings), *_shadowed(settings)]
    prm, place = settings.prm, "prm"
    if isinstance(prm, CodeSignals):
        prm, place = prm.then, "prm.then"
    if isinstance(prm, TransformersPrm) and prm.sha256 and prm.sha256_files:
        message = f"and {place}.sha256_files cannot both be given; remove one"
        found.append(((*place.split("."), "sha256"), message))
    for name, policy in settings.policies.items():
        path = ("policies", name)
        if policy.when is not None and policy.when == When():
            found.append(((*path, "when"), "has no condition; give tags, model or call_site"))
        if isinstance(policy, Beam):
            found += _beam(policy, path)
        if isinstance(policy, Effort):
            found += _effort(policy, path)
        if isinstance(policy, Drawing):
            found += _drawing(policy, path, has_prm=settings.prm is not None)
    return [Problem(f"{dotted(path)} {message}", path, document.at(path)) for path, message in found]


def _without_prm(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    has_prm = settings.prm is not None
    if settings.calibration not in {None, "none"} and not has_prm:
        yield ("calibration",), "is given, but there are no scores to calibrate; add 'prm', or remove it"
    kinds = (InstanceAdaptivePolicy, ScoreDistributionPolicy)
    for name, rule in settings.policies.items():
        path = ("policies", name)
        if not isinstance(rule, (PassThrough, BestOfN, Repair)) and not has_prm:
            message = f"is {rule.strategy!r}, which decides from scores; add 'prm', or use 'best-of-n'"
            yield (*path, "strategy"), message
        if not isinstance(rule, Drawing) or not isinstance(rule.policy, kinds):
            continue
        kind = rule.policy.kind
        if not has_prm:
            message = f"is {kind!r}, which decides from scores; add 'prm', or use 'agreement'"
            yield (*path, "policy", "kind"), message
        elif kind == "instance-adaptive" and not rule.score_question:
            message = "is false, but 'instance-adaptive' decides from the question's score; remove it"
            yield (*path, "score_question"), message


def _beam(policy: Beam, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if policy.fanout > policy.samples:
        more = f"is {policy.fanout}, more than samples ({policy.samples}) allows; lower it, or raise samples"
        yield (*path, "fanout"), more
    if policy.adapt == "fixed" and "confidence" in policy.model_fields_set:
        yield (*path, "confidence"), "is given, but adapt 'fixed' asks for none; remove it"


def _effort(policy: Effort, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    names = [rung.name for rung in policy.rungs]
    for i, (easier, rung) in enumerate(pairwise(policy.rungs), start=1):
        if rung.name in names[:i]:
            yield (*path, "rungs", i, "name"), f"is {rung.name!r}, as an earlier rung's; name it differently"
        if rung.at_least >= easier.at_least:
            less = f"is {rung.at_least:g}, not less than that of the easier rung before; lower it"
            yield (*path, "rungs", i, "at_least"), less
    if policy.rungs[-1].at_least > 0:
        rest = "is given, but the last rung is for all other calls; remove it, or add a harder rung"
        yield (*path, "rungs", len(names) - 1, "at_least"), rest
    if policy.default is not None and policy.default not in names:
        yield (*path, "default"), f"is {policy.default!r}, which is no rung; {nearest(policy.default, names)}"
    if policy.target is None and "attempts" in policy.model_fields_set:
        yield (*path, "attempts"), "is given, but without 'target' no attempt is followed by another; add it"


def _drawing(policy: Drawing, path: KeyPath, *, has_prm: bool) -> Iterator[tuple[KeyPath, str]]:
    yield from _limits(policy, path)
    yield from _unused_prior(policy, path)
    yield from _unused_prices(policy, path)
    if isinstance(policy, (BestOfN, Prune)):
        yield from _tools(policy, path, has_prm=has_prm)
    if policy.verifier is None and "verifier_decides" in policy.model_fields_set:
        yield (*path, "verifier_decides"), "is given, but there is no verifier; add one, or remove it"
    if isinstance(policy, Repair):
        yield from _repair(policy, path)
    if isinstance(policy, FirstGood) and policy.otherwise != "prune" and "keep" in policy.model_fields_set:
        yield (*path, "keep"), "is given, but 'otherwise' is not 'prune'; remove one of them"


def _repair(policy: Repair, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if policy.verifier is None:
        yield (*path, "strategy"), "is 'repair', but nothing says what fails; add 'verifier'"
    if policy.escalate is not None and "at_least" in policy.escalate.model_fields_set:
        yield (*path, "escalate", "at_least"), "is given, but only a failure leads to this rung; remove it"


def _limits(policy: Drawing, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    asked, key = _least(policy)
    limit = max_samples(policy)
    if asked > limit:
        more = f"is {asked}, more than max_samples ({limit}) allows; lower it, or raise max_samples"
        yield (*path, "policy", key), more


def _unused_prior(policy: Drawing, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(policy.policy, ScoreDistributionPolicy) and policy.policy.method == "mle":
        for key in sorted(policy.policy.model_fields_set & PRIOR):
            yield (
                (*path, "policy", key),
                "is given, but method 'mle' has no prior; remove it, or use method: map",
            )


def _unused_prices(policy: Drawing, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    rule = policy.policy
    if isinstance(rule, OptimalStoppingPolicy) and rule.prices is not None and not rule.per_tokens:
        message = "are in completion tokens, but give_up is the price of a sample; add per_tokens"
        yield (*path, "policy", "prices"), message


def _tools(policy: BestOfN | Prune, path: KeyPath, *, has_prm: bool) -> Iterator[tuple[KeyPath, str]]:
    limit, check = max_samples(policy), policy.verifier
    own = check.then if isinstance(check, ToolSchemaVerifier) else check
    passes = own is not None
    for i, (name, tool) in enumerate(policy.tools.items()):
        place = (*path, "tools", name)
        if not tool.model_fields_set & {"target", "samples", "ignore"}:
            yield place, "says nothing; give target, samples or ignore"
        if tool.on_fail == "abstain" and tool.target is None:
            yield (*place, "on_fail"), "is 'abstain', but there is no target to miss; add target"
        if tool.target is not None and not has_prm and not passes:
            yield (
                (*place, "target"),
                "needs a probability, which votes do not give; add 'prm', or a verifier of your own",
            )
        if tool.samples is not None and tool.samples > limit:
            more = (
                f"is {tool.samples}, more than max_samples ({limit}) allows; lower it, or raise max_samples"
            )
            yield (*place, "samples"), more
        if earlier := next((each for each in list(policy.tools)[:i] if _takes(each, name)), None):
            yield place, f"never applies: {earlier!r} above takes all of these tools"


def _takes(general: str, special: str) -> bool:
    """Whether every name that fits the pattern `special` fits `general`; False where that is not easily seen."""
    easy = not set(special) & set("*?[") or not set(general) & set("?[")
    return easy and fnmatchcase(special, general)


def _least(policy: Drawing) -> tuple[int, str]:
    """The number of samples without which the stopping policy cannot do what it says, and its key."""
    match policy.policy:
        case EarlyStoppingPolicy(window=window):
            return window, "window"
        case ScoreDistributionPolicy(first=first):
            return first, "first"
        case _:
            asked, key = wanted(policy)
            return asked or 0, key


def max_samples(policy: Drawing) -> int:
    """The most samples of one call: as written, else what the stopping policy names itself, else 16."""
    return policy.max_samples or wanted(policy)[0] or MAX_SAMPLES


def wanted(policy: Drawing) -> tuple[int | None, str]:
    """The number of samples that the stopping policy names itself, and under which key."""
    match policy.policy:
        case FixedPolicy(n=n):
            return n, "n"
        case InstanceAdaptivePolicy(cap=cap):
            return cap, "cap"
        case _:
            return None, ""


def _shadowed(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Policies that never apply, because an earlier one takes all of their calls."""
    earlier: list[tuple[str, PolicyRule]] = []
    for name, policy in settings.policies.items():
        for other, candidate in earlier:
            if policy.when and candidate.when and _covers(candidate.when, policy.when):
                yield ("policies", name, "when"), f"never applies: {other!r} above takes all of these calls"
                break
        earlier.append((name, policy))


def _covers(general: When, special: When) -> bool:
    tags = set(general.tags or ()) <= set(special.tags or ())
    model = general.model in {None, special.model}
    return tags and model and general.call_site in {None, special.call_site}
