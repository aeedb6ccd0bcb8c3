"""Rules of tools, as a configuration names them: `tools`, one entry for each tool or pattern of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from adaptive_middleware.config.fields import Model, Probability, Samples, Text
from adaptive_middleware.tool_rules import ToolRule


class Tool(Model):
    """What must hold before a call of this tool is returned, and which of its arguments say nothing."""

    target: Probability | None = Field(
        None,
        description="Required probability that the call is right: samples are drawn until it is reached.",
    )
    samples: Samples | None = Field(
        None, description="Samples of a call without target; with one, the most that are drawn for it."
    )
    on_fail: Literal["return", "abstain"] = Field(
        "return",
        description="What becomes of a call that misses its target: it is returned, or withheld and the agent told why.",
    )
    ignore: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="Names of arguments that do not tell calls apart, such as a stated reason."
    )


Tools = Annotated[
    dict[Text, Tool],
    Field(description="Rules of tools by name, or by pattern ('delete_*'); the first one that fits is used."),
]


def rules_of(tools: Mapping[str, Tool]) -> tuple[ToolRule, ...]:
    """The rules in the order of the file.

    >>> rules_of({"search": Tool(samples=1)})
    (ToolRule(name='search', target=None, samples=1, on_fail='return', ignore=()),)
    """
    return tuple(
        ToolRule(name, tool.target, tool.samples, tool.on_fail, tool.ignore or ())
        for name, tool in tools.items()
    )
