"""Follow-ups: a request that shows the model an answer of its own and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adaptive_middleware.types import Request

CUT = " ... "


def follow_up(request: Request, answer: str, complaint: str) -> Request | None:
    """The request with two more turns: the model's own answer, and the complaint about it.

    Turns are mappings of role and content where the messages are (or where there are none), `request.say` makes them
    for a framework, and a single prompt grows. None where no turn can be made: the messages are objects, and `say` is not given.

    >>> asked = Request("Double x.", messages=({"role": "user", "content": "Double x."},))
    >>> follow_up(asked, "x + 2", "f(1) is 3, not 2.").messages[1:]
    ({'role': 'assistant', 'content': 'x + 2'}, {'role': 'user', 'content': 'f(1) is 3, not 2.'})
    """
    given, text = tuple(request.messages), f"{request.text}\n\n{answer}\n\n{complaint}"
    said = (("assistant", answer), ("user", complaint))
    if request.say is not None:
        return replace(request, text=text, messages=(*given, *(request.say(*turn) for turn in said)))
    if all(isinstance(message, Mapping) for message in given):
        before = given or ({"role": "user", "content": request.text},)
        turns = tuple({"role": role, "content": content} for role, content in said)
        return replace(request, text=text, messages=(*before, *turns))
    if len(given) == 1 and isinstance(given[0], str):
        return replace(request, text=text, messages=(f"{given[0]}\n\n{answer}\n\n{complaint}",))
    return None


def shown_output(output: str, most: int) -> str:
    r"""At most `most` characters of what a program wrote, its beginning and its end, without control characters.

    >>> shown_output("\x07Error in line 12:\n" + "x" * 50 + "\nExpected 4", 25)
    'Error in l ... Expected 4'
    """
    plain = "".join(c for c in output if c.isprintable() or c in "\n\t").strip()
    if len(plain) <= most:
        return plain
    room = max(most - len(CUT), 0)
    return (plain[: room - room // 2] + CUT + plain[len(plain) - room // 2 :])[:most]
