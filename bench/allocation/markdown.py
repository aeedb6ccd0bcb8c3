"""LEADERBOARD.md: one section per recording, for readers on GitHub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from bench.allocation.board import ANY, FIXED, Match, Part
from bench.allocation.rows import RESAMPLES, Row, Span

_HEAD = """\
# Leaderboard of allocation rules

Every rule on recorded samples, beside fixed N. Nothing was generated for it: the ordinary engine replays recorded answers
(docs/leaderboard.md says how, and defines every column). Rules that lose are shown losing.

```bash
{command}
```

Seed {seed} for orders, folds and {resamples} bootstrap resamples of the problems; the same command gives the same files. In brackets: 95 %
percentile intervals by problem.

- **share**: the rule's cost over what fixed N of the same selection needs for the same accuracy; 100 % is no saving, more is a
  loss (marked *worse*). Cost is generated tokens, or samples where they are checked. **>max**: more accurate than any fixed N that the
  recording has samples for, so there is no share.
- **chosen to match**: the rule's cheapest setting that keeps the reference's accuracy, chosen on nine tenths of the problems and
  judged on the tenth. **difference** and **of its cost** compare with the reference on the same problems.
- Samples, generated, prompt and PRM tokens are means per problem; n/a is not known. A request pays the prompt once: one sample at a
  time pays it for every sample, fixed N once.
- **any rule** is rule and setting chosen together on the other nine tenths. An oracle knows which samples are right: a bound, not a rule.
- `leaderboard.json` has every row with all columns.
- 40 problems cannot separate rules that differ by a few points: read the intervals, not the ranks.
"""


def page(parts: Sequence[Part], seed: int, recordings: Sequence[str]) -> str:
    """The whole file."""
    names = f' RECORDINGS="{" ".join(recordings)}"' if recordings else ""
    head = _HEAD.format(command=f"make bench-allocation{names}", seed=seed, resamples=RESAMPLES)
    return head + "".join(f"\n{section}\n" for section in ("\n".join(_section(part)) for part in parts))


def _section(part: Part) -> Iterator[str]:
    yield f"## {part.name}"
    yield ""
    if part.about:
        yield f"{part.about[0].upper()}{part.about[1:]}."
        yield ""
    yield from (f"- {note}." for note in part.notes)
    for match in part.matches:
        yield ""
        yield f"**{headline(match, part.unit)}**"
        yield ""
        yield from _match(match, part.unit)
    yield from _tables(part)


def _tables(part: Part) -> Iterator[str]:
    """Fixed N in one table, everything else in another; there may be none."""
    fixed = [one for one in part.rows if one.group == FIXED]
    named = [one for one in part.rows if one.group != FIXED]
    for title, rows, table in (
        ("Fixed N", fixed, _fixed(fixed, part.unit)),
        ("Named settings", named, _settings(named)),
    ):
        if rows:
            yield from ("", f"{title}:", "")
            yield from table


def headline(match: Match, unit: str) -> str:
    """One sentence: the cheapest rule that kept the reference's accuracy within half a point, and two to hold beside it.

    The cheapest is named after the fact. The row of any rule was chosen before it, on other problems; the Beta
    vote needs no process reward model.
    """
    named = {_name(one): one for one in match.rows}
    rules = [one for name, one in named.items() if name != ANY and one.policy not in match.bounds]
    kept = [one for one in rules if one.difference is not None and one.difference.value >= -0.005]
    best = min(kept, key=_cost, default=match.reference)
    beside = [named[name] for name in (ANY, "Beta vote") if name in named and named[name] is not best]
    first = f"the cheapest within half a point is {_costs(best, unit)}"
    if _cost(best) > 0.995:
        first = "no rule is cheaper within half a point"
    accuracy = _percent(match.reference.accuracy.value)
    return (
        "; ".join([f"{match.reference.policy} ({accuracy}): {first}", *(_costs(one, unit) for one in beside)])
        + "."
    )


def _costs(one: Row, unit: str) -> str:
    name = "any rule, chosen on other problems" if _name(one) == ANY else _name(one)
    return f"{name}, {_points(one.difference)} points at {_share(one.ratio)} of its {unit}"


def _name(one: Row) -> str:
    return one.policy.split("; ")[0]


def _cost(one: Row) -> float:
    return one.ratio.value if one.ratio else 1.0


def _match(match: Match, unit: str) -> Iterator[str]:
    yield f"| chosen to match {match.reference.policy} | accuracy | difference, points | {unit} | of its cost | share | prompt | PRM |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in (match.reference, *match.rows):
        cells = (
            _name(one),
            _accuracy(one),
            _points(one.difference),
            _number(_spent(one, unit), 1 if unit == "samples" else 0),
            _share(one.ratio),
            "" if one is match.reference else _verdict(one),
            _number(one.prompt),
            _number(one.prm),
        )
        yield _line(cells)


def _fixed(rows: Sequence[Row], unit: str) -> Iterator[str]:
    """Fixed N across, selections down."""
    found: dict[str, dict[int, Row]] = {}
    for one in rows:
        found.setdefault(_name(one), {})[_size(one)] = one
    sizes = sorted({size for each in found.values() for size in each})
    yield _line(("accuracy @ " + unit, *(str(size) for size in sizes)))
    yield _line(("---",) * (len(sizes) + 1))
    for name, each in found.items():
        yield _line((name, *(_at(each[size], unit) if size in each else "" for size in sizes)))


def _settings(rows: Sequence[Row]) -> Iterator[str]:
    yield "| policy | accuracy | samples | generated | prompt | PRM | share |"
    yield "|---|---|---|---|---|---|---|"
    for one in rows:
        counts = (_number(one.samples, 2), _number(one.generated), _number(one.prompt), _number(one.prm))
        yield _line((one.policy, _accuracy(one), *counts, _verdict(one)))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _size(one: Row) -> int:
    """N of a fixed row: its name ends with it."""
    return int(one.policy.split()[-1])


def _at(one: Row, unit: str) -> str:
    return f"{_percent(one.accuracy.value)} @ {_number(_spent(one, unit), 1 if unit == 'samples' else 0)}"


def _spent(one: Row, unit: str) -> float:
    return one.samples if unit == "samples" else one.generated


def _accuracy(one: Row) -> str:
    return f"{_percent(one.accuracy.value)} [{_percent(one.accuracy.low)}, {_percent(one.accuracy.high)}]"


def _verdict(one: Row) -> str:
    if one.share is None:
        return ">max"
    worse = " *worse*" if round(one.share.value, 2) > 1 else ""
    return _share(one.share) + worse


def _share(span: Span | None) -> str:
    if span is None:
        return ""
    low = f"{span.low:.0%}" if span.low > 0 else ">max"
    high = f"{span.high:.0%}" if span.high > 0 else ">max"
    value = f"{span.value:.0%}" if span.value > 0 else ">max"
    return value if low == high == value else f"{value} [{low}, {high}]"


def _points(span: Span | None) -> str:
    if span is None:
        return ""
    if span.value == span.low == span.high == 0:
        return "0"
    return f"{100 * span.value:+.1f} [{100 * span.low:+.1f}, {100 * span.high:+.1f}]"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}" if isfinite(value) else "n/a"
