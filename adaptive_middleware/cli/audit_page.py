"""The readable page of an audit: the verdict first, then what it rests on, then what would be better."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adaptive_middleware.audit.findings import Findings
from adaptive_middleware.audit.recalibrate import Recalibrated
from adaptive_middleware.audit.result import Audit, Policies, config
from adaptive_middleware.audit.signal import Signal
from adaptive_middleware.cli.audit_work import Asked, Made

_WIDTH = 110


def show(asked: Asked, made: Made) -> None:
    """Print the page on standard output; tables are coloured on a terminal only."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    audit = made.audit
    console.print(f"{escape(asked.source.name)} ({_size(audit)}); calibration {escape(asked.calibration)}")
    console.print(f"{escape(made.fitted_for)}\n", style="dim")
    for line in _verdict(audit, asked.tolerance):
        console.print(line)
    if audit.findings is not None:
        console.print(_measured(audit.findings, asked.tolerance))
    for line in _further(audit, made):
        console.print(line)
    if audit.policies is not None:
        console.print()
        console.print(_contest(audit.policies, asked.repeats))
        console.print(_recommended(audit.policies))
    for note in audit.notes:
        console.print(f"note: {escape(note)}", style="dim")


def _size(audit: Audit) -> str:
    what = "calls" if audit.kind == "store" else "answers"
    if audit.findings is None:
        return f"no scored {what}"
    return f"{audit.n} {what}, {audit.findings.problems} problems"


def _verdict(audit: Audit, tolerance: float) -> Iterator[str]:
    found, verdict = audit.findings, audit.verdict
    if found is None:
        yield "[bold]Nothing to judge the calibration by.[/]\n"
    elif not verdict.holds:
        yield "[bold red]The calibration does not hold.[/]"
        yield from (f"  - {escape(reason)}" for reason in verdict.reasons)
        yield ""
    elif verdict.need is not None:
        yield (
            f"[bold yellow]Too few to tell.[/] Nothing speaks against the calibration, but with {found.problems} problems "
            f"its error is known to +-{found.bias.half_width:.0%} only: about {verdict.need} are needed.\n"
        )
    elif found.error.value > tolerance:
        yield (
            f"[bold green]The calibration holds[/] as far as can be told: an error of {found.error.value:.3f} may be chance "
            "(at the 1 % level).\n"
        )
    else:
        yield "[bold green]The calibration holds.[/]\n"


def _measured(found: Findings, tolerance: float) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "found", "95 % interval", "wanted"):
        table.add_column(name, justify="right" if name in {"found", "95 % interval"} else "left")
    error, bias, test = found.error, found.bias, found.test
    table.add_row("calibration error (ECE)", f"{error.value:.3f}", f"{error.low:.3f} to {error.high:.3f}", f"at most {tolerance:g}")  # fmt: skip
    table.add_row("mean probability - share right", f"{bias.value:+.1%}", f"{bias.low:+.1%} to {bias.high:+.1%}", "0")  # fmt: skip
    if found.coverage is not None:
        cover = found.coverage
        table.add_row("coverage of the 10 % quantile", f"{cover.share:.1%}", f"{cover.low:.1%} to {cover.high:.1%}", "90 %")  # fmt: skip
    table.add_row("Brier score", f"{found.brier:.4f}", "", "small")
    table.add_row("recalibration slope, intercept", f"{test.slope:.2f}, {test.intercept:+.2f}", "", "1, 0")
    table.add_row("p-value of these being 1, 0", f"{test.p_value:.2g}", "", "0.01 or more")
    if found.drift is not None:
        drift = found.drift
        table.add_row("p-value of no drift", f"{drift.p_value:.2g}", "", "0.01 or more")
        halves = f"{drift.early.value:+.1%}, {drift.late.value:+.1%}"
        table.add_row("error of earlier, later half", halves, "", "0, 0")
    return table


def _further(audit: Audit, made: Made) -> Iterator[str]:
    if audit.findings is not None:
        yield ""
    if audit.questions is not None:
        asked = audit.questions
        covered = "" if asked.coverage_lower10 is None else f", coverage {asked.coverage_lower10:.1%}"
        yield f"Question alone: calibration error {asked.ece:.3f}{covered}, {asked.n} questions (not part of the verdict)."
    if audit.after is not None:
        yield f"After recalibration: {_after(audit.after)}."
    if made.written is not None:
        yield f"Written: {escape(str(made.written))}"
    if audit.signal is not None:
        yield from _signal(audit.signal)


def _after(after: Recalibrated) -> str:
    return (
        f"calibration error {after.ece:.3f}, Brier score {after.brier:.4f}, coverage {after.coverage_lower10:.1%} "
        "(each problem's fitted to the others)"
    )


def _signal(signal: Signal) -> Iterator[str]:
    known = [(signal.within, "within problems"), (signal.overall, "over all answers")]
    aurocs = [f"{value:.3f} {where}" for value, where in known if value is not None]
    if aurocs:
        yield f"Process reward model: AUROC {', '.join(aurocs)}."
    yield (
        f"Of {signal.n} samples, its best one is right in {signal.argmax:.1%}, the majority in {signal.majority:.1%}: "
        f"{signal.gain.value:+.1%} ({signal.gain.low:+.1%} to {signal.gain.high:+.1%})."
    )
    if signal.worse_than_voting:
        yield "[bold red]The process reward model does worse than voting on this traffic.[/]"


def _contest(policies: Policies, repeats: int) -> Table:
    title = f"Policies on this traffic: {repeats} orders per problem, differences with joint 95 % intervals"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("policy", "accuracy", "difference", "interval", "samples", "tokens", "PRM tokens", ""):
        table.add_column(name, justify="left" if name in {"policy", ""} else "right", no_wrap=True)
    for used, what in ((policies.in_use, "in use"), (policies.recalibrated, "recalibrated")):
        if used is not None:
            table.add_row(f"{used.name} ({what})", f"{used.accuracy:.1%}", "", "", f"{used.samples:.1f}", f"{used.tokens:.0f}", f"{used.prm_tokens:.0f}")  # fmt: skip
    for one in policies.rivals:
        low, high = one.gain_ci95
        table.add_row(
            one.rival.name,
            f"{one.accuracy:.1%}",
            f"{one.gain:+.1%}",
            f"{low:+.1%} to {high:+.1%}",
            f"{one.samples:.1f}",
            f"{one.tokens:.0f}",
            f"{one.prm_tokens:.0f}",
            "better" if one.better else "",
        )
    return table


def _recommended(policies: Policies) -> str:
    found = policies.better
    if found is None:
        return "\nNo policy is better for certain: none is more accurate at no more tokens, or as accurate at clearly fewer.\n"
    return f"\n[bold]Better on this traffic: {found.rival.name}[/]. In the configuration:\n\n{escape(config(found))}"
