"""The nouns: every value that crosses a floor of the house, frozen and with slots.

Nothing here calls anything; the module imports the standard library and `spent` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from adaptive_middleware.spent import Spent
from adaptive_middleware.spent import Usage as Usage  # noqa: PLC0414 - one of the nouns


@dataclass(frozen=True, slots=True)
class Request:
    """One intercepted LLM call: the framework's own payload, and the text view that the scorer reads.

    `messages`, `tools` and `parameters` are opaque here and are handed back untouched; `text` is what the process reward model sees as the question.
    `deadline` is a `time.monotonic()` instant in seconds. `say` makes the framework's message of a role ("assistant", "user") and a text, where messages
    are neither mappings nor text.
    """

    text: str
    messages: Sequence[object] = ()
    tools: Sequence[object] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    model: str | None = None
    call_site: str | None = None
    run_id: str | None = None
    deadline: float | None = None
    say: Callable[[str, str], object] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as the model wrote it: name and arguments (JSON values)."""

    name: str
    arguments: Mapping[str, object]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """One answer, complete or partial: its steps so far, and the framework's own object as `raw`.

    Joining `steps` gives the text back, character for character. `logprobs` are the sampler's token log-probabilities (natural log, <= 0), where it gives
    them. `error` marks a sample that failed: it still carries its usage, but is never a candidate. A path without steps is the question alone.
    """

    steps: tuple[str, ...] = ()
    done: bool = True
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[float, ...] | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    raw: object = None
    error: str | None = None

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self.steps)

    @property
    def ended(self) -> bool:
        """Whether no more of it will come: it is done, was cut off (`finish_reason` says how), or failed."""
        return self.done or self.finish_reason is not None or self.error is not None


@dataclass(frozen=True, slots=True)
class StepScores:
    """Raw process reward model scores of one path, one in [0, 1] for each scored step.

    `first` is the index of the first scored step: above 0 when the scorer had to cut the beginning away to fit its window. A path without steps gets one
    score, that of the question. `tokens` is what the scorer computed. `rejected` says why there are no usable scores (then `values` is empty).
    `quantiles` are there where the model itself predicts them: for each value its (level, quantile) pairs.
    """

    values: tuple[float, ...] = ()
    first: int = 0
    tokens: int = 0
    rejected: str | None = None
    quantiles: tuple[tuple[tuple[float, float], ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calibrated probability that a path, continued by the same policy, ends correct.

    All numbers are in [0, 1] and `lower <= upper`; `quantiles` maps levels to values, both ascending. `lower` is the conservative (10 %) quantile that
    allocation uses.
    """

    mean: float
    lower: float
    upper: float
    quantiles: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Belief:
    """Distribution over p, the chance that one more independent sample succeeds, on a fixed grid.

    `support` ascends inside (0, 1); `weights` are >= 0 and sum to 1. Updates live in `belief.py`.
    """

    support: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Expected success chance of the next sample."""
        return fsum(p * w for p, w in zip(self.support, self.weights, strict=True))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier said of one path: `passed` is None when it could not tell (never a fail).

    `kind` says more where code was run (`verify.judge.VerdictKind`); `tests` are results of generated tests, in their order.
    """

    passed: bool | None
    detail: str = ""
    kind: str | None = None
    tests: tuple[bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path with everything that is known of it; `answer` is its canonical answer, if it has one."""

    path: Path
    scores: StepScores | None = None
    estimate: Estimate | None = None
    answer: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidate was selected, how, and whether another was exactly as good."""

    index: int
    probability: float | None
    how: str
    tied: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What a policy sees between draws. `limit` is the most samples this call may draw in all.

    `question` is the calibrated estimate of the question alone, `base_rate` the mean of the belief before any sample was seen;
    `candidates` are the usable samples in the order drawn; `leader` is what selection would return now, `votes` the counts of
    canonical answers, largest first; `dropped` are answers that were begun and not finished.
    """

    candidates: tuple[Candidate, ...]
    belief: Belief
    limit: int
    question: Estimate | None = None
    leader: Choice | None = None
    votes: tuple[int, ...] = ()
    base_rate: float = 0.5
    dropped: tuple[Candidate, ...] = ()

    @property
    def drawn(self) -> int:
        """How many usable samples were begun, finished or not."""
        return len(self.candidates) + len(self.dropped)

    @property
    def completion_tokens(self) -> int:
        """Completion tokens of all usable samples so far."""
        return sum(one.path.usage.completion_tokens for one in (*self.candidates, *self.dropped))


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decided: how many more samples, in words, and the numbers it was decided from."""

    more: int
    because: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one call: the chosen path, all that was considered, and why.

    `rule` names the configured policy that applied and `strategy` what ran; `degraded` lists the causes for which the call got less than it asked for;
    `failed` are samples that ended in an error, `dropped` answers that were begun and not finished. `shown_from` is the number of steps read before the
    answer was shown while it was written (None: it was returned whole), `rung` the effort that it was drawn with. `abstained` says why the tool calls of
    `choice` were withheld (`chosen` then says so, and calls nothing), or why no answer is returned. `id` names the call for `ports.Observer`; `budget` is
    what it took of each budget that it was counted in, `shadow` how many samples a policy in shadow would have drawn at least. `raw` is the score that
    `question` was made of.
    """

    chosen: Path
    considered: tuple[Candidate, ...] = ()
    choice: Choice | None = None
    question: Estimate | None = None
    decisions: tuple[Decision, ...] = ()
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    degraded: tuple[str, ...] = ()
    failed: tuple[Path, ...] = ()
    rule: str = "default"
    strategy: str = "pass-through"
    limit: int = 1
    calibrated: bool = False
    dropped: tuple[Candidate, ...] = ()
    shown_from: int | None = None
    rung: str | None = None
    abstained: str | None = None
    id: str | None = field(default=None, compare=False)
    budget: tuple[Spent, ...] = ()
    shadow: int | None = None
    raw: float | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A call that ended without an answer, and what is known of its cost until then.

    `why` is `cancelled` (also where nobody read its stream on) or `failed: CODE`, the code of an `AdaptiveError` or the class of another error; `error` and
    `message` are the error's class and words. `drawn` are the answers that had ended or were closed, `begun` is how many were asked for.
    """

    why: str
    error: str
    message: str
    rule: str = "default"
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    drawn: tuple[Path, ...] = ()
    begun: int = 0
    id: str | None = field(default=None, compare=False)
