"""The strategies of a configuration: every policy, one class per `strategy`, with its keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.calls import AnyPolicy, AnyVerifier
from adaptive_middleware.config.fields import Arguments, Model, Probability, Samples, Text
from adaptive_middleware.config.keeping import Keeping, WorthFinishing
from adaptive_middleware.config.stopping import OptimalStoppingPolicy, StoppingPolicy
from adaptive_middleware.config.tools import Tools
from adaptive_middleware.steps import Boundary


class PassThrough(AnyPolicy):
    """One plain call, exactly as without this middleware."""

    strategy: Literal["pass-through"] = Field(description="One plain call, unscored.")


class Drawing(AnyPolicy):
    """Several answers, as many as the policy asks for; the best one is returned."""

    policy: StoppingPolicy = Field(
        default_factory=lambda: OptimalStoppingPolicy(kind="optimal-stopping"),
        description="How many samples a call gets; optimal-stopping when absent.",
    )
    max_samples: Samples | None = Field(
        None, description="Most samples of one call; when absent, the policy's own n or cap, else 16."
    )
    select: Literal["argmax", "calibrated-vote", "majority", "execution-agreement"] = Field(
        "argmax",
        description="Which sample is returned: the highest calibrated probability, a vote weighted by it, a plain vote, or "
        "the one that most others and most generated tests agree with. Verified samples win in all; without scores the "
        "first three are a plain vote.",
    )
    answer: Literal["auto", "code"] = Field(
        "auto",
        description="What votes compare: the answer that a text ends with, or (code) its program, without layout and comments.",
    )
    score_question: bool = Field(
        True, description="Score the question alone first, to know how hard it is before the first sample."
    )
    verifier: AnyVerifier | None = Field(None, description="Exact check of every sample.")
    verifier_decides: Literal["all", "failures"] = Field(
        "all",
        description="What the verifier's word counts for: passes and failures, or (public tests) failures alone.",
    )


class BestOfN(Drawing):
    """Several whole samples; the best one is returned."""

    strategy: Literal["best-of-n"] = Field(description="Draw samples while the policy asks; return the best.")
    tools: Tools = Field(default_factory=dict)


class Stepwise(Drawing):
    """Several answers, read step by step."""

    keep: Keeping = Field(
        default_factory=lambda: WorthFinishing(kind="worth-finishing"),
        description="Whether an open answer is read on; worth-finishing when absent.",
    )
    steps: Boundary = Field("auto", description="Where a step of a streamed answer ends.")


class Prune(Stepwise):
    """Several samples, read step by step; those that are not worth finishing are dropped."""

    strategy: Literal["prune"] = Field(
        description="As best-of-n, but answers are streamed, and dropped when not worth finishing."
    )
    tools: Tools = Field(default_factory=dict)


class FirstGood(Stepwise):
    """The first answer, shown while it is written, where it will likely be right; otherwise as prune or best-of-n."""

    strategy: Literal["first-good"] = Field(
        description="Show the first answer while it is written, where it will likely be right."
    )
    good: Probability = Field(
        0.9, description="Show the answer when its chance of being right is at least this."
    )
    by: Literal["lower", "mean"] = Field(
        "lower", description="What that chance is: the calibrated lower (10 %) quantile, or the mean."
    )
    look: Samples = Field(
        1, description="Steps read before the answer is judged, where the question alone does not suffice."
    )
    otherwise: Literal["prune", "best-of-n"] = Field(
        "prune", description="How calls go on whose first answer is not shown."
    )


class RungModel(Model):
    """One step of a ladder of effort: what calls of this difficulty are given."""

    name: Text = Field(description="What the rung is called in reports.")
    at_least: float = Field(
        0.0, ge=0, lt=1, description="Chance of success from which this rung suffices; the last one has none."
    )
    parameters: Arguments = Field(
        default_factory=dict,
        description="Parameters of the wrapped model, such as reasoning_effort or max_tokens; they replace the call's.",
    )
    model: Text | None = Field(None, description="Name of another model, handed on as the parameter 'model'.")


class Effort(AnyPolicy):
    """One answer, with as much thinking as the call needs; more attempts where it is not good enough."""

    strategy: Literal["effort"] = Field(
        description="The difficulty of the call picks reasoning effort, token caps or a model."
    )
    rungs: Annotated[tuple[RungModel, ...], Field(strict=False, min_length=1)] = Field(
        description="What calls are given, from easy to hard: the first rung that is reached is used."
    )
    judge: Literal["question", "answer"] = Field(
        "question",
        description="What tells the difficulty: the question alone, or a first answer on the first rung.",
    )
    by: Literal["lower", "mean"] = Field(
        "mean",
        description="What the chance of success is: the calibrated mean, or the lower (10 %) quantile.",
    )
    target: Probability | None = Field(
        None, description="Try the next rung when the best answer is right with less probability."
    )
    attempts: Samples = Field(2, description="Most answers of one call; needs target.")
    default: Text | None = Field(
        None, description="Name of the rung for calls without an estimate; the middle one when absent."
    )
    verifier: AnyVerifier | None = Field(None, description="Exact check of every answer.")


class Repair(Drawing):
    """Answers that are checked; a failed one is shown to the model with what its check said."""

    strategy: Literal["repair"] = Field(
        description="Draw, check, and ask the model to repair what failed; needs a verifier."
    )
    answer: Literal["auto", "code"] = Field(
        "code",
        description="What votes compare: the program of an answer, or (auto) the answer that its text ends with.",
    )
    rounds: Annotated[int, Field(ge=0, le=1024)] = Field(
        2, description="Most repairs in a row, before a fresh answer is drawn."
    )
    shown: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1000, description="Most characters of a check's output that the model sees."
    )
    complaint: Annotated[str, Field(pattern=r"\{output\}")] | None = Field(
        None, description="What the model is told after a failure; {output} is what the check said."
    )
    escalate: RungModel | None = Field(
        None,
        description="Model or parameters of one last answer, when it is given up and every answer failed.",
    )
    on_fail: Literal["return", "ask"] = Field(
        "return",
        description="When every answer failed: return one of them, or say so in words in their place.",
    )


class Beam(AnyPolicy):
    """Several partial answers, continued step by step; the best ones are fanned out again."""

    strategy: Literal["beam"] = Field(
        description="Beam search over steps, as wide as needed; for models that can go on from a prefix."
    )
    samples: Samples = Field(16, description="Paths at the beginning, and the most after each step.")
    fanout: Samples = Field(
        4, description="How many ways a kept path is continued; samples // fanout are kept."
    )
    adapt: Literal["fixed", "k", "m"] = Field(
        "k", description="Keep fewer paths (k) or fan them out less (m) where success is likely; or neither."
    )
    confidence: Probability = Field(0.99, description="Wanted probability that one path ends right.")
    max_steps: Samples = Field(40, description="Most steps of one answer.")
    every: Samples = Field(1, description="Steps between two looks of the process reward model.")
    score_question: bool = Field(True, description="Score the question alone first, for the report.")
    verifier: AnyVerifier | None = Field(None, description="Exact check of every finished answer.")
    steps: Boundary = Field("auto", description="Where a step of an answer ends.")


PolicyRule = Annotated[
    PassThrough | BestOfN | Prune | FirstGood | Effort | Repair | Beam, Field(discriminator="strategy")
]
