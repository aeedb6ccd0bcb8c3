"""The process reward models that a configuration may name: `prm`, one class per `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Digest, Model, Seconds, Target, Text


class TransformersPrm(Model):
    """A process reward model in this process, loaded with transformers."""

    kind: Literal["transformers"] = Field(description="A local checkpoint, run in this process.")
    model: Text = Field(description="Folder of the checkpoint (relative to this file), or its name.")
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d{1,3})?)$")] = Field(
        "cpu", description="Where it runs: cpu, mps, cuda, or cuda:0, cuda:1, ..."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Number format it runs in."
    )
    family: (
        Literal["qwen-math-prm", "skywork-prm", "reasoneval", "math-shepherd", "rlhflow", "judge"] | None
    ) = Field(None, description="How the model reads steps; told from its tensors when absent.")
    max_length: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        4096, description="Window in tokens; longer inputs lose their first steps."
    )
    batch_tokens: Annotated[int, Field(ge=16, le=10_000_000)] = Field(
        16_384, description="Most tokens of one forward pass."
    )
    kv_cache_mib: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        1024, description="Memory for keys and values of prefixes that later steps go on from, in MiB."
    )
    compile: Literal["off", "default", "reduce-overhead"] = Field(
        "off", description="torch.compile of the model; reduce-overhead uses CUDA graphs for small steps."
    )
    batch_invariant: bool = Field(
        False, description="Compute every row alone and from scratch: same scores whatever else is scored."
    )
    sha256: Digest | None = Field(None, description="Digest of the only weights file; any other is refused.")
    sha256_files: Annotated[dict[Text, Digest], Field(min_length=1)] | None = Field(
        None, description="Digest of every weights file, by file name, where there are several."
    )


class LabPrm(Model):
    """The small process reward model that ships with this package (arithmetic word problems only)."""

    kind: Literal["lab"] = Field(description="The embedded process reward model, for trying things out.")


class PythonPrm(Model):
    """Your own scorer: an object with the method `score(request, paths)`."""

    kind: Literal["python"] = Field(description="A scorer made by your own factory.")
    target: Target = Field(description=TARGET)
    args: Arguments = Field(default_factory=dict, description=ARGS)


class PoolingPrm(Model):
    """A process reward model behind HTTP: one or more servers that speak vLLM's `/pooling`."""

    kind: Literal["pooling"] = Field(
        description="Servers of serve-prm or of vLLM, on this or other machines."
    )
    urls: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[^/]")], ...], Field(strict=False, min_length=1)
    ] = Field(description="Addresses of the servers, each before /pooling; all serve the same model.")
    model: Text = Field(description="Name of the model at the servers, as /v1/models gives it.")
    tokenizer: Text = Field(
        description="Folder (relative to this file) or hub name of the model; only its tokenizer is read."
    )
    family: Literal["qwen-math-prm", "math-shepherd", "skywork-prm", "reasoneval"] | None = Field(
        None, description="How the model reads steps; told by its config.json when absent."
    )
    key_env: Text | None = Field(
        None, description="Environment variable with the key that is sent as a bearer token."
    )
    timeout: Seconds = Field(60.0, description="Most seconds of one request to one server.")
    max_length: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        4096,
        description="Window in tokens, no larger than the servers'; longer inputs lose their first steps.",
    )


ModelPrm = Annotated[TransformersPrm | LabPrm | PythonPrm | PoolingPrm, Field(discriminator="kind")]


class CodeSignals(Model):
    """What can be told of code before it is run, in place of a process reward model or before one."""

    kind: Literal["code-signals"] = Field(
        description="Scores of code without a model: is it still Python, and does it define what it uses?"
    )
    entry: Text | None = Field(
        None, description="Name of the function that is asked for; what the question shows when absent."
    )
    then: ModelPrm | None = Field(
        None,
        description="Process reward model of the answers whose code is not broken; it never reads the others.",
    )


Prm = Annotated[TransformersPrm | LabPrm | PythonPrm | PoolingPrm | CodeSignals, Field(discriminator="kind")]
