"""Reports: how a decision reaches the caller, on the response and as an instrumentation event."""

from __future__ import annotations

from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher
from typing_extensions import override

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.report import report
from adaptive_middleware.types import Outcome

Response = TypeVar("Response", ChatResponse, CompletionResponse)

_dispatcher = get_dispatcher(__name__)


class AdaptiveEvent(BaseEvent):
    """A call was decided: `report` is what the response carries as `additional_kwargs["adaptive"]`.

    Agents keep only the message of a response, so inside them this event is where decisions are seen.
    """

    report: dict[str, Any]

    @classmethod
    @override
    def class_name(cls) -> str:
        """The name under which handlers know the event."""
        return "AdaptiveEvent"


def reported(outcome: Outcome, kind: type[Response]) -> Response:
    """The chosen response: the model's own object, or a copy that carries the report when there is one.

    Raises `SamplerError` when the chosen answer failed, or is not one that the model gave.
    """
    chosen = outcome.chosen
    response = chosen.raw
    if chosen.error is not None:
        message = f"the chosen answer failed: {chosen.error}"
        raise SamplerError(message)
    if response is None and not chosen.done:  # it was closed before its end, and is no more than its text
        message_so_far = ChatMessage(chosen.text, role=MessageRole.ASSISTANT)
        response = kind.model_validate({"text": chosen.text, "message": message_so_far})
    if not isinstance(response, kind):
        message = (
            f"strategy {outcome.strategy!r} chose a path whose raw is {response!r}, not a {kind.__name__}: "
            "return a path as the sampler drew it"
        )
        raise SamplerError(message)
    told = report(outcome)
    if told is None:
        return response
    _dispatcher.event(AdaptiveEvent(report=told))
    extra = {**response.additional_kwargs, "adaptive": told}
    return response.model_copy(update={"additional_kwargs": extra})
