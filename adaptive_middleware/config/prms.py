"""The process reward models that a configuration may name: `prm`, one class per `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import ARGS, TARGET, Arguments, Digest, Model, Target, Text


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


Prm = Annotated[TransformersPrm | LabPrm | PythonPrm, Field(discriminator="kind")]
