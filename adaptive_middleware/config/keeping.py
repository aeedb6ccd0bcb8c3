"""What decides whether an open answer is read on, as a configuration names it: `keep`, one class per `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Model, Probability, Target


class WorthFinishing(Model):
    """Read an open answer on while what it may still add is worth the tokens that are missing: the default."""

    kind: Literal["worth-finishing"] = Field(description="Drop what is not worth the missing tokens.")
    give_up: Probability = Field(
        0.01, description="Price of per_tokens completion tokens, in probability of success."
    )
    per_tokens: int = Field(
        500, ge=1, description="How many completion tokens give_up is the price of; the length of an answer."
    )
    sharpness: float = Field(
        2.0, gt=0, description="How far the remaining steps can still tell right from wrong answers."
    )
    impatience: float = Field(
        2.0, gt=0, description="Times the price: above 1, because a fresh answer could be had instead."
    )


class Dominated(Model):
    """Drop an open answer whose upper quantile falls under the leader's lower one, or under give_up."""

    kind: Literal["dominated"] = Field(description="Drop what can hardly beat the best finished answer.")
    give_up: Probability = Field(
        0.01, description="Upper quantile under which an answer is dropped, whatever the leader."
    )


class PythonKeep(Model):
    """Your own rule: a callable from a state and an open candidate to 1 (read on) or 0 (drop)."""

    kind: Literal["python"] = Field(description="A rule made by your own factory.")
    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


Keeping = Annotated[WorthFinishing | Dominated | PythonKeep, Field(discriminator="kind")]
