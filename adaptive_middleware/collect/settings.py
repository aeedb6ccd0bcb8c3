"""Settings of a collection: every key of its file and every option, with type, range, default and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from adaptive_middleware.config.fields import Model, Target, Text
from adaptive_middleware.config.prms import Prm

Count = Annotated[int, Field(ge=1, le=4096)]
Temperature = Annotated[float, Field(gt=0, le=10)]
Nucleus = Annotated[float, Field(gt=0, le=1)]
Limit = Annotated[int, Field(ge=1, le=1_000_000)]
_DRAWS = "Most tokens of one answer; an answer that is cut there counts as wrong."


class LabSampler(Model):
    """The small policy that ships with this package (arithmetic word problems only)."""

    kind: Literal["lab"]
    temperature: Temperature = 1.0
    top_p: Nucleus = 1.0
    max_tokens: Limit = Field(96, description=_DRAWS)
    batch: Count = Field(64, description="Answers that are generated side by side.")


class TransformersSampler(Model):
    """A causal language model in this process, from a folder or by its hub name."""

    kind: Literal["transformers"]
    model: Text = Field(description="Folder of the checkpoint (relative to this file), or its name.")
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d{1,3})?)$")] = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    temperature: Temperature = 1.0
    top_p: Nucleus = 1.0
    max_tokens: Limit = Field(512, description=_DRAWS)
    batch: Count = Field(32, description="Answers that are generated side by side.")


class OpenAISampler(Model):
    """An OpenAI-compatible endpoint. The key is read from the environment, never from here."""

    kind: Literal["openai"]
    base_url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    model: Text
    key_env: Text = Field("OPENAI_API_KEY", description="Environment variable that holds the key, if any.")
    prefill: bool = Field(
        False, description="The server continues a last message of the assistant (vLLM, SGLang)."
    )
    logprobs: bool = Field(True, description="Ask for the tokens' log-probabilities.")
    temperature: Temperature = 1.0
    top_p: Nucleus = 1.0
    max_tokens: Limit = Field(512, description=_DRAWS)
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 600.0


class PythonSampler(Model):
    """A LangChain chat model, a LlamaIndex LLM, or an object with `sample(request, n)`, from your own factory."""

    kind: Literal["python"]
    target: Target
    args: dict[str, Any] = Field(default_factory=dict)
    max_tokens: Limit = Field(512, description="Most tokens of one answer: only to reckon the cost with.")


class ExactCheck(Model):
    """Right is what says the same as the prompt's `answer`."""

    kind: Literal["exact"]


class UnitTestsCheck(Model):
    """Right is code on which the prompt's `tests` run to the end, in a sandbox."""

    kind: Literal["unit-tests"]
    seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    memory_mb: Annotated[int, Field(ge=64, le=1_000_000)] = 1024


class PythonCheck(Model):
    """Right is what your own function (prompt, answer text) -> bool says."""

    kind: Literal["python"]
    target: Target


Sampler = Annotated[
    LabSampler | TransformersSampler | OpenAISampler | PythonSampler, Field(discriminator="kind")
]
Check = Annotated[ExactCheck | UnitTestsCheck | PythonCheck, Field(discriminator="kind")]


class Settings(Model):
    """What to draw, from what, how to check it, and what to fit."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    sampler: Sampler | None = None
    prm: Prm | None = None
    check: Check = Field(default_factory=lambda: ExactCheck(kind="exact"))
    answers: Count = Field(4, description="Whole answers drawn for each prompt.")
    prefixes: Annotated[int, Field(ge=0, le=4096)] = Field(2, description="Cuts of each answer, at most.")
    rollouts: Count = Field(8, description="Continuations of each prefix, and of the question.")
    system: Text | None = Field(
        None, description="System message of every request; the PRM does not read it."
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(0.3, description="Share of problems not fitted on.")
    method: Literal["post-hoc"] = "post-hoc"
    concurrency: Annotated[int, Field(ge=1, le=1024)] = Field(8, description="Problems worked on at once.")
    budget_tokens: Annotated[int, Field(ge=1)] | None = None
    max_errors: Count = Field(10, description="Failures of sampler or check in a row that end the run.")
    generator: Text | None = Field(None, description="The generator's id in the bundle.")
    prm_id: Text | None = Field(None, description="The PRM's id in the bundle, for recorded scores.")
