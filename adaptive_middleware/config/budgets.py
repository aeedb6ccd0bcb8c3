"""Budgets that calls share, as a configuration says them: caps, where they are counted, and what things cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.calls import Limits
from adaptive_middleware.config.fields import Model, Seconds, Text, Tokens
from adaptive_middleware.config.upstream import Variable

Dollars = Annotated[float, Field(gt=0, le=1_000_000_000)]
PerMillion = Annotated[float, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
RedisAddress = Annotated[str, Field(pattern=r"^rediss?://[^\s@]+$")]


class Amount(Model):
    """How much: exactly one of the four."""

    usd: Dollars | None = Field(None, description="US dollars; counted in millionths.")
    tokens: Count | None = Field(None, description="Prompt and completion tokens of all samples.")
    requests: Count | None = Field(None, description="Requests to the provider.")
    prm_seconds: Dollars | None = Field(
        None, description="Seconds in which the process reward model scores; counted in milliseconds."
    )


class CapRule(Model):
    """The most that calls may cost together."""

    amount: Amount = Field(description="How much: exactly one of usd, tokens, requests and prm_seconds.")
    window: Literal["call", "run", "day", "month"] = Field(
        "day", description="For how long: one call, one run, or a day or month of UTC."
    )
    scope: Literal["all", "tenant", "policy", "model"] = Field(
        "all", description="For whom: all calls together, or each tenant, policy or model by itself."
    )
    on_exhausted: Literal["refuse", "wait"] = Field(
        "refuse",
        description="What a call without an answer does when nothing is left: it fails, or waits until others give "
        "back what they reserved, up to its deadline.",
    )
    unknown_price: Literal["deny", "allow"] = Field(
        "deny",
        description="Whether a call may go on when the price of its model is not known (only for usd).",
    )


class MemoryStoreRule(Model):
    """Counted in this process, for as long as it runs."""

    kind: Literal["memory"] = Field(description="Counted in this process, for as long as it runs.")


class SqliteStoreRule(Model):
    """Counted in a file, for all processes of this machine."""

    kind: Literal["sqlite"] = Field(description="Counted in a file, for all processes of this machine.")
    path: Text = Field(description="The file, relative to this one; it is made if it is not there.")


class RedisStoreRule(Model):
    """Counted in Redis, for all machines."""

    kind: Literal["redis"] = Field(description="Counted in Redis, for all machines; needs the extra redis.")
    url: RedisAddress | None = Field(None, description="Address without a password: 'redis://host:6379/0'.")
    url_env: Variable | None = Field(
        None, description="Environment variable with the address, where that holds a password."
    )
    prefix: Text = Field("adaptive-budget", description="What the names of all its keys begin with.")


BudgetStoreRule = Annotated[MemoryStoreRule | SqliteStoreRule | RedisStoreRule, Field(discriminator="kind")]


class PriceRule(Model):
    """Dollars per million tokens."""

    prompt: PerMillion = Field(description="US dollars per million prompt tokens.")
    completion: PerMillion = Field(description="US dollars per million completion tokens.")
    cached: PerMillion | None = Field(
        None, description="US dollars per million cached prompt tokens; absent: as other prompt tokens."
    )


class Budget(Model):
    """Limits for every policy that does not set its own, and how budgets are counted."""

    per_call: Limits = Field(default_factory=Limits, description="Limits of one call.")
    store: BudgetStoreRule | None = Field(
        None, description="Where `budgets` are counted; absent: in the memory of this process."
    )
    prices: dict[Text, PriceRule] = Field(
        default_factory=dict,
        description="Prices by model; names may hold * and ?, and the first that fits counts.",
    )
    published_prices: bool = Field(
        True, description="Whether models without a price here have that of the package genai-prices."
    )
    answer_tokens: Tokens = Field(
        4096, description="Completion tokens that are reserved for an answer whose request names no limit."
    )
    prompt_tokens: Tokens = Field(
        200_000, description="The most prompt tokens that are ever reserved for an answer."
    )
    wait_seconds: Seconds = Field(
        30.0, description="The longest wait of a call without a deadline, in seconds."
    )
