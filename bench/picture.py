"""The README's picture of a decision, drawn from a real call of the embedded pair.

Run as `python -m bench.picture`; it writes `docs/decision.svg`. The call is the one that `adaptive-middleware demo`
explains with the same seed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

from adaptive_middleware.cli.demo_run import Call, calls, problems
from adaptive_middleware.cli.demo_shown import worth_explaining
from adaptive_middleware.types import Candidate

OUT = Path(__file__).parents[1] / "docs" / "decision.svg"
ROW, LEFT, STEP, GAP = 26, 92, 172, 6
STYLE = """
  text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #24292f }
  .dim { fill: #57606a } .strong { font-weight: 700 } .frame { fill: #ffffff; stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .dim { fill: #8d96a0 } .frame { fill: #0d1117; stroke: #30363d } .step { opacity: .8 }
  }
"""


def colour(score: float) -> str:
    """From red at 0 over yellow to green at 1, light enough for dark text."""
    return f"hsl({round(120 * score)} 70% 72%)"


def step(column: int, y: int, score: float, text: str) -> str:
    """One step: its text on the colour of its score."""
    x = LEFT + column * (STEP + GAP)
    shown = escape(text.strip().removeprefix("The answer is").strip(" ."))
    return (
        f'<rect class="step" x="{x}" y="{y}" width="{STEP}" height="20" rx="4" fill="{colour(score)}"/>'
        f'<text x="{x + 6}" y="{y + 14}" style="fill:#24292f">{shown}</text>'
        f'<text x="{x + STEP - 6}" y="{y + 14}" text-anchor="end" style="fill:#24292f">{score:.2f}</text>'
    )


def row(number: int, candidate: Candidate, y: int, end: int, *, chosen: bool) -> str:
    """One sample: its steps, and the calibrated probability at the end of the row."""
    values = candidate.scores.values if candidate.scores is not None else ()
    steps = "".join(
        step(column, y, value, text)
        for column, (value, text) in enumerate(zip(values, candidate.path.steps, strict=False))
    )
    p = "-" if candidate.estimate is None else f"p = {candidate.estimate.mean:.2f}"
    style = "strong" if chosen else ""
    return (
        f'<text x="12" y="{y + 14}" class="{style or "dim"}">sample {number}</text>{steps}'
        f'<text x="{end}" y="{y + 14}" class="{style}">{p}{" returned" if chosen else ""}</text>'
    )


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def draw(call: Call) -> str:
    """The whole picture as SVG, readable in light and dark."""
    considered = call.outcome.considered
    columns = max(len(candidate.path.steps) for candidate in considered)
    end = LEFT + columns * (STEP + GAP) + 8
    width = end + 150
    question = wrapped(call.problem.question, width // 8)
    top = 30 + 18 * len(question)
    parts = [f'<text x="12" y="{24 + 18 * i}">{escape(line)}</text>' for i, line in enumerate(question)]
    parts += [
        row(n, candidate, top + (n - 1) * ROW, end, chosen=candidate.path is call.outcome.chosen)
        for n, candidate in enumerate(considered, 1)
    ]
    y = top + len(considered) * ROW + 22
    last = call.outcome.decisions[-1].because
    saved = call.fixed[16].generated_tokens - call.adaptive.generated_tokens
    parts.append(f'<text x="12" y="{y}" class="strong">stop: {escape(last)}</text>')
    parts.append(
        f'<text x="12" y="{y + 20}" class="dim">{saved} of the {call.fixed[16].generated_tokens} tokens of 16 samples were never generated</text>'
    )
    height = y + 36
    label = f"{len(considered)} samples with the score of each step; {last}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(label)}"><style>{STYLE}</style>'
        f'<rect class="frame" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Run the demo's problems and draw the call that it explains."""
    done = list(calls(problems(), seed=0))
    OUT.write_text(draw(worth_explaining(done)), encoding="utf-8")
    sys.stdout.write(f"wrote {OUT.name}\n")


if __name__ == "__main__":
    main()
