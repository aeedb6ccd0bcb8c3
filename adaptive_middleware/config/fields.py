"""What the keys of a configuration are made of: strict models, and the types that several sections share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Samples = Annotated[int, Field(ge=1, le=1024)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000)]
Target = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Arguments = dict[str, Any]

TARGET = "Where to import the factory from, as 'package.module:name'. It is called with `args`."
ARGS = "Keyword arguments of the factory; any values."


class Model(BaseModel):
    """A section: no text for numbers, no unknown keys, frozen."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )
