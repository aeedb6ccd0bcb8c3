"""What a decision is about: a question, and the answer to it where there is one, as the process reward model reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.outputs import ChatGeneration, ChatResult

from adaptive_middleware.errors import NotAnswerable
from adaptive_middleware.steps import split_steps
from adaptive_middleware.tool_calls import read_answer
from adaptive_middleware.types import Path, Request, Usage
from langchain_adaptive.paths import result_paths
from langchain_adaptive.requests import conversation_text

_FORMS = (
    "a process reward model judges a question, or an answer to one: give text (a question), messages (the last one is the answer if "
    "it is the model's), {'messages': [...]}, or {'question': text, 'answer': text}"
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, and the answer to it; without one, what is judged is the question alone."""

    request: Request
    answer: Path | None = None

    @property
    def path(self) -> Path:
        """What is scored: the answer with its tool calls, or the question alone."""
        return Path(done=False) if self.answer is None else self.answer


def judged(state: object) -> Judged:
    """The question and the answer in the state of a decision.

    >>> judged("2 + 2?").request.text
    '2 + 2?'
    >>> judged({"question": "2 + 2?", "answer": "4"}).path.steps
    ('4',)

    Raises `NotAnswerable` for a state without a question, with an empty answer, or of another form.
    """
    match state:
        case str():
            return _of_messages([HumanMessage(state)])
        case BaseMessage():
            return _of_messages([state])
        case {"messages": [*messages]}:
            return _of_messages(_messages(messages))
        case {"question": str(question), "answer": str(answer), **rest} if not rest:
            return _of_messages([HumanMessage(question), AIMessage(answer)])
        case {"question": str(question), **rest} if not rest:
            return _of_messages([HumanMessage(question)])
        case [*messages]:
            return _of_messages(_messages(messages))
    message = f"the state is {_shown(state)}: {_FORMS}"
    raise NotAnswerable(message)


def text_path(text: str) -> Path:
    """An answer that is given as text alone."""
    return Path(steps=tuple(split_steps(text)))


def _messages(given: Sequence[object]) -> list[BaseMessage]:
    for one in given:
        if not isinstance(one, BaseMessage | Mapping):
            message = f"the state has a {type(one).__name__} where a message should be: {_FORMS}"
            raise NotAnswerable(message)
    try:
        return convert_to_messages(given)  # type: ignore[arg-type]
    except (ValueError, NotImplementedError) as error:
        message = f"the state has something that is no message ({error}): {_FORMS}"
        raise NotAnswerable(message) from error


def _of_messages(messages: Sequence[BaseMessage]) -> Judged:
    last = messages[-1] if messages else None
    answer = _answer(last) if isinstance(last, AIMessage) else None
    asked = messages if answer is None else messages[:-1]
    text = conversation_text(asked)
    if not text.strip():
        message = f"the state has no question before its answer, or none at all: {_FORMS}"
        raise NotAnswerable(message)
    return Judged(Request(text=text, messages=asked), answer)


def _answer(message: AIMessage) -> Path:
    (path,) = result_paths(ChatResult(generations=[ChatGeneration(message=message)]))
    if "adaptive" in message.response_metadata:  # its usage may be that of all samples, not of this one
        path = replace(path, usage=Usage())
    read = read_answer(replace(path, raw=None))
    if not read.text.strip():
        refused = "the answer has neither text nor tool calls, so there is nothing to judge: leave it out to judge the question alone"
        raise NotAnswerable(refused)
    return read


def _shown(state: object) -> str:
    return (
        f"a mapping with {sorted(map(str, state))}"
        if isinstance(state, Mapping)
        else f"a {type(state).__name__}"
    )
