"""The stopping policies of a configuration: every kind, with its keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Model, Probability, Samples, Target

PER_TOKENS = "Above 0: give_up is the price of so many completion tokens, not of a sample."


class FixedPolicy(Model):
    """Always the same number of samples: the baseline."""

    kind: Literal["fixed"] = Field(description="Always n samples.")
    n: Samples = Field(description="Samples of every call.")


class InstanceAdaptivePolicy(Model):
    """N from the difficulty of the question, decided once (Park et al. 2025)."""

    kind: Literal["instance-adaptive"] = Field(description="N from the question's calibrated difficulty.")
    confidence: Probability = Field(0.99, description="Wanted probability that one sample at least is right.")
    cap: Samples | None = Field(
        None, description="Most samples, however hard the question; else max_samples."
    )


class AgreementPolicy(Model):
    """Draw until the leading answer will stay the leader (Adaptive-Consistency); needs no scorer."""

    kind: Literal["agreement"] = Field(description="Stop when the leading answer will stay the leader.")
    confidence: Probability = Field(0.95, description="Wanted probability that the leader stays ahead.")
    window: Samples = Field(1, description="Samples drawn at a time.")


class EarlyStoppingPolicy(Model):
    """Draw windows until one is unanimous (Early-Stopping Self-Consistency); needs no scorer."""

    kind: Literal["early-stopping"] = Field(description="Stop when a whole window of samples agrees.")
    window: Samples = Field(5, description="Samples drawn at a time; all of one window must agree.")


class ScoreDistributionPolicy(Model):
    """Draw until one score very likely exceeds a target, by the distribution of the scores (OptScale)."""

    kind: Literal["score-distribution"] = Field(description="N from a truncated normal fitted to the scores.")
    target: Probability = Field(0.95, description="Score that the best sample should exceed.")
    confidence: Probability = Field(0.95, description="Wanted probability that it does.")
    first: Samples = Field(3, description="Samples drawn before anything is fitted.")
    window: Samples = Field(1, description="Most samples drawn at a time after the first ones.")
    method: Literal["mle", "map"] = Field("mle", description="Fit by maximum likelihood, or with a prior.")
    prior_mu: float = Field(0.8, ge=0, le=1, description="Where the prior of method 'map' puts mu.")
    prior_sigma: float = Field(0.2, ge=0.01, le=10, description="Where the prior of method 'map' puts sigma.")
    prior_spread: float = Field(0.1, gt=0, le=10, description="Standard deviation of the prior of both.")


class WeightedAgreementPolicy(Model):
    """Draw while another sample may still turn the vote of calibrated probabilities; works without scores."""

    kind: Literal["weighted-agreement"] = Field(
        description="Stop when one more sample will hardly turn the weighted vote."
    )
    give_up: Probability = Field(
        0.02, description="Stop when one more sample turns the vote with less probability: its price."
    )
    window: Samples = Field(1, description="Samples drawn at a time after the first one.")
    per_tokens: int = Field(0, ge=0, description=PER_TOKENS)


class PricesModel(Model):
    """What one token of each sort costs, and one round trip, in completion tokens."""

    completion: float = Field(1.0, ge=0, description="Price of a completion token: the unit of the others.")
    prompt: float = Field(0.0, ge=0, description="Price of a prompt token.")
    cached: float = Field(
        0.0, ge=0, description="Price of a prompt token that the provider had in its cache."
    )
    prm: float = Field(0.0, ge=0, description="Price of a token that the process reward model reads.")
    call: float = Field(0.0, ge=0, description="Price of a round trip: what its waiting is worth.")


class OptimalStoppingPolicy(Model):
    """Draw while another sample is worth its price: the default."""

    kind: Literal["optimal-stopping"] = Field(
        description="Stop when sure enough, or when more will not help."
    )
    target: Probability = Field(0.95, description="Stop when the best answer is right with this probability.")
    give_up: Probability = Field(
        0.01,
        description="Stop when one more sample gains less than this: its price in probability of success.",
    )
    window: Samples = Field(1, description="Samples drawn at a time after the first one.")
    sharpness: float = Field(
        1.0,
        gt=0,
        description="How far apart the scores of right and wrong answers to one question lie, in standard "
        "deviations: sqrt(2) times the normal quantile of the AUROC within a question (0.76: 1.0, 0.87: 1.6).",
    )
    per_tokens: int = Field(0, ge=0, description=PER_TOKENS)
    prices: PricesModel | None = Field(
        None, description="All that a draw costs, in completion tokens; needs per_tokens."
    )


class PythonPolicy(Model):
    """Your own policy: a callable from a state to a decision, or to a number of further samples."""

    kind: Literal["python"] = Field(description="A policy made by your own factory.")
    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


StoppingPolicy = Annotated[
    FixedPolicy
    | InstanceAdaptivePolicy
    | AgreementPolicy
    | EarlyStoppingPolicy
    | ScoreDistributionPolicy
    | WeightedAgreementPolicy
    | OptimalStoppingPolicy
    | PythonPolicy,
    Field(discriminator="kind"),
]
