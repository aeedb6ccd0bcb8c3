"""What the demo shows: a line for each call as it ends, the totals beside fixed N, and one decision explained."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from adaptive_middleware.cli.demo_run import MAX_SAMPLES, Call, calls, lower, problems, summary
from adaptive_middleware.types import Candidate, Outcome


def show(seed: int, per_level: int, *, as_json: bool) -> None:
    """Run the problems and print each call, the totals and one explanation; after Ctrl-C, of what was done so far."""
    console = Console(quiet=as_json, highlight=False)
    todo = problems(per_level)
    done: list[Call] = []
    _introduce(console, len(todo))
    stopped = False
    try:
        for call in calls(todo, seed):
            done.append(call)
            console.print(_line(call))
    except KeyboardInterrupt:
        stopped = True
        console.print(f"\nstopped by Ctrl-C after {len(done)} of {len(todo)} problems; so far:")
    if as_json:
        typer.echo(json.dumps(summary(done), allow_nan=False))
    elif done:
        _summarise(console, done)
        _explain(console, worth_explaining(done))
    if stopped:
        raise typer.Exit(130)


def _introduce(console: Console, n: int) -> None:
    console.print(
        f"{n} arithmetic stories that neither model has seen, from easy (level 1) to hard (level 8). "
        "A small language model answers, a small process reward model scores its steps, and the calibrated "
        f"probability decides how many samples each call gets: at most {MAX_SAMPLES}.\n"
    )
    console.print(_HEADER)


MOST_SHOWN = 5
_HEADER = "level  p(right)  lower   samples            tokens  of fixed 16  answer"


def _line(call: Call) -> str:
    p = call.outcome.choice.probability if call.outcome.choice else None
    low = lower(call.outcome)
    share = call.adaptive.generated_tokens / max(call.fixed[MAX_SAMPLES].generated_tokens, 1)
    bar = "#" * call.adaptive.samples
    verdict = "[green]right[/]" if call.adaptive.correct else "[red]wrong[/]"
    return (
        f"{call.problem.level:>5}  {_number(p):>8}  {_number(low):>5}   {bar:<{MAX_SAMPLES}}  "
        f"{call.adaptive.generated_tokens:>6}  {share:>10.0%}  {verdict}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _summarise(console: Console, done: Sequence[Call]) -> None:
    table = Table(
        title=f"\n{len(done)} problems, same samples, same selection", title_justify="left", box=None
    )
    for name in ("", "right", "samples", "generated tokens", "PRM tokens"):
        table.add_column(name, justify="left" if not name else "right")
    rows = [("adaptive", [call.adaptive for call in done])]
    rows += [(f"fixed N={n}", [call.fixed[n] for call in done]) for n in done[0].fixed]
    for name, costs in rows:
        table.add_row(
            name,
            f"{sum(cost.correct for cost in costs)}/{len(costs)}",
            str(sum(cost.samples for cost in costs)),
            str(sum(cost.generated_tokens for cost in costs)),
            str(sum(cost.prm_tokens for cost in costs)),
        )
    console.print(table)


def worth_explaining(done: Sequence[Call]) -> Call:
    """The call that shows most: of those with several samples a right one that fits a screen, else the shortest."""

    def shows(call: Call) -> tuple[bool, bool, int]:
        samples = call.adaptive.samples
        few = call.adaptive.correct and 1 < samples <= MOST_SHOWN
        return few, samples > 1, samples if few else -samples

    return max(done, key=shows)


def _explain(console: Console, call: Call) -> None:
    outcome = call.outcome
    console.print(f"\n[bold]One decision explained[/] (level {call.problem.level}, {call.problem.id})\n")
    console.print(Padding(escape(call.problem.question), (0, 2, 1, 2)))
    if outcome.question is not None:
        asked = outcome.question
        console.print(
            f"  before any answer: one sample is right with probability {asked.mean:.2f} "
            f"({asked.lower:.2f} to {asked.upper:.2f})"
        )
    shown = 0
    for decision in outcome.decisions:
        verb = f"draw {decision.more}" if decision.more else "stop"
        console.print(Padding(f"[bold]{verb}[/]: {decision.because}", (0, 2, 0, 2)))
        for candidate in outcome.considered[shown : shown + decision.more]:
            shown += 1
            console.print(_candidate(shown, candidate, outcome))
    console.print(f"  returned by {_how(outcome)}; the right answer is {call.problem.answer}")


def _candidate(number: int, candidate: Candidate, outcome: Outcome) -> str:
    values = () if candidate.scores is None else candidate.scores.values
    pairs = zip(candidate.path.steps, values, strict=False)
    steps = "\n".join(f"         {value:.2f}  {escape(step.strip())}" for step, value in pairs)
    p = "unscored" if candidate.estimate is None else f"p = {candidate.estimate.mean:.2f}"
    returned = "  <- returned" if candidate.path is outcome.chosen else ""
    return f"    sample {number}: {p}, from the score after each step{returned}\n{steps}"


def _how(outcome: Outcome) -> str:
    if outcome.choice is None:
        return "passing it through"
    return f"{outcome.choice.how}{' (a tie)' if outcome.choice.tied else ''}"
