"""Leaderboard rows for tests: a recording with tokens, a verified one without, and names that try to break out."""

from typing import Any

HOSTILE = "</title><script>alert('&')</script> $x^2_\\frac$ \x00 \ud800 漢字"


def row(recording: str, policy: str, accuracy: float, cost: float, **others: object) -> dict[str, Any]:
    return {
        "recording": recording,
        "policy": policy,
        "accuracy": accuracy,
        "accuracy_ci95": [max(accuracy - 0.1, 0.0), min(accuracy + 0.1, 1.0)],
        "samples": cost / 100,
        "generated_tokens": cost,
        "prompt_tokens": None,
        "prm_tokens": 0,
        "share_at_equal_accuracy": None,
        **others,
    }


TOKENS = (
    *(row("math", f"fixed:n={n}", 0.3 + 0.05 * n, 100.0 * n) for n in (1, 2, 4, 8)),
    *(row("math", f"fixed:n={n},select=majority", 0.2 + 0.05 * n, 100.0 * n) for n in (8, 4, 2, 1)),
    row("math", "agreement:confidence=0.9", 0.5, 240.0, share_at_equal_accuracy=0.4),
    row("math", "agreement:confidence=0.99", 0.6, 720.0, share_at_equal_accuracy=1.2),
    row("math", "optimal-stopping:target=0.9", 0.8, 500.0),
    row("math", "oracle: stops at the first right answer", 0.9, 90.0, share_at_equal_accuracy=0.1),
)
VERIFIED = (
    *(
        row("p3", f"fixed N={n}", 0.05 * n, 100.0 * n, generated_tokens=None, prm_tokens=None)
        for n in (1, 2, 4)
    ),
    row("p3", "give up early", 0.2, 150.0, generated_tokens=None),
)
ROWS = (*TOKENS, *VERIFIED, row(HOSTILE, HOSTILE, 0.5, 10.0, share_at_equal_accuracy=1.0))
