"""What the fake OpenAI server says: answers made from the request alone, no randomness and no clock.

Behaviours are switched on by `+name` or `+name=value` after the model's name, in any combination:

    fake+arithmetic          works out the first sum in the prompt, from left to right, one step a line
    fake+constant            says the same whatever the prompt
    fake+split               every choice differs from the last; with `+arithmetic` only each third is right
    fake+outlier             of every three choices the first differs, the other two are equal
    fake+malformed=3         the first tool call and every third one after it has arguments that are not JSON
    fake+twins               calls a tool twice in one answer, both calls with one id
    fake+empty               says nothing: a stream is over at once, an answer in one piece is null
    fake+fail                every request is answered with HTTP 500; `+fail=3`: every third one
    fake+limit=2             every second request is answered with HTTP 429 and Retry-After
    fake+delay=20            answers after 20 ms
    fake+reasoning           of the Responses API: an item of reasoning comes before the answer
    fake+single              refuses n > 1 with HTTP 400; `+ignore-n` gives one choice whatever n
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One choice: text, or the calls of tools as (name, arguments in JSON); `twins` have one id."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    twins: bool = False


def behaviours(model: str) -> dict[str, int]:
    """The behaviours that a model name asks for, with their values (1 where none is given).

    >>> behaviours("fake+split+delay=20")
    {'split': 1, 'delay': 20}
    """
    pairs = (part.partition("=") for part in model.split("+")[1:])
    return {name: int(value or 1) for name, _, value in pairs}


def reply(body: Json, index: int) -> Reply:
    """The answer to a chat-completions request; `index` counts the choices the server has given."""
    wants = behaviours(body["model"])
    if "empty" in wants:
        return Reply()
    shift = _shift(wants, index)
    prompt = _prompt(body["messages"])
    tool = _called_tool(body)
    if tool is not None:
        written = _dumped(filled(tool.get("parameters") or {}, prompt, shift))
        if "malformed" in wants and index % wants["malformed"] == 0:
            written = written.rstrip("}")
        twins = "twins" in wants
        return Reply(calls=((tool["name"], written),) * (1 + twins), twins=twins)
    return Reply(_cut(_text(body, prompt, shift), body.get("stop")))


def _shift(wants: Mapping[str, int], index: int) -> int:
    """How far choice `index` is from the one answer that all would give."""
    if "outlier" in wants:
        return int(index % 3 == 0)
    return index % 3 if "split" in wants else 0


def filled(schema: Json, prompt: str, shift: int = 0) -> object:
    """A value that a JSON schema accepts: numbers and quoted strings are taken from the prompt, in turn.

    `shift` is added to every integer.

    >>> filled({"type": "object", "properties": {"a": {"type": "integer"}}}, "What is f(3)?")
    {'a': 3}
    """
    return _Filling(schema, iter(_numbers(prompt)), iter(_quoted(prompt)), shift).value(schema)


@dataclass(slots=True)
class _Filling:
    """The state of filling one schema: its definitions, and what the prompt still offers."""

    root: Json
    numbers: Any
    strings: Any
    shift: int

    def value(self, schema: Json) -> object:
        """A value for this part of the schema."""
        schema = self._resolved(schema)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else schema["enum"][0]
        if schema.get("type") == "array":
            return [self.value(schema.get("items", {"type": "string"}))]
        if schema.get("type", "object") == "object":
            return {name: self.value(part) for name, part in schema.get("properties", {}).items()}
        return self._scalar(schema["type"])

    def _scalar(self, kind: str) -> object:
        match kind:
            case "integer":
                return int(next(self.numbers, 1)) + self.shift
            case "number":
                return float(next(self.numbers, 1)) + self.shift
            case "string":
                return next(self.strings, "some text")
        return True if kind == "boolean" else None

    def _resolved(self, schema: Json) -> Json:
        """The schema behind `$ref`, `allOf`, `anyOf` and lists of types, the first non-null of each."""
        if "$ref" in schema:
            found: Any = self.root
            for key in schema["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            return self._resolved(found)
        for key in ("allOf", "anyOf", "oneOf"):
            if key in schema:
                parts = [self._resolved(part) for part in schema[key]]
                return next((part for part in parts if part.get("type") != "null"), parts[0])
        if isinstance(schema.get("type"), list):
            return {**schema, "type": next(kind for kind in schema["type"] if kind != "null")}
        return schema


def _called_tool(body: Json) -> Json | None:
    """The function to call: a forced one, the first when one is required, or after a user's turn."""
    tools: list[Json] = [tool["function"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, Mapping):
        return next((tool for tool in tools if tool["name"] == choice["function"]["name"]), None)
    asked = body["messages"][-1]["role"] == "user"
    if tools and (choice in {"required", "any"} or (choice == "auto" and asked)):
        return tools[0]
    return None


def _text(body: Json, prompt: str, shift: int) -> str:
    form = body.get("response_format") or {"type": "text"}
    if form["type"] == "json_schema":
        return _dumped(filled(form["json_schema"]["schema"], prompt, shift))
    if form["type"] == "json_object":
        return _dumped({name: f"the {name}" for name in _quoted(prompt)})
    wants = behaviours(body["model"])
    last = body["messages"][-1]
    if last["role"] == "tool":
        return f"The tool says {_content(last)}."
    if "arithmetic" in wants:
        return _worked_out(prompt, shift)
    if "constant" in wants:
        return "The answer is 42."
    return f"You said:\n{prompt}\nThe answer is {len(prompt.split()) + shift}."


def _worked_out(prompt: str, shift: int) -> str:
    """A sum in steps, one a line; `shift` goes wrong in the last step but one."""
    found = re.search(r"-?\d+(?:\s*[-+*]\s*\d+)+", prompt)
    if found is None:
        return f"There is nothing to work out.\nThe answer is {shift}."
    total, *rest = re.findall(r"^-?\d+|[-+*]|\d+", found[0])
    value, lines = int(total), []
    for position in range(0, len(rest), 2):
        sign, operand = rest[position], int(rest[position + 1])
        result = {"+": value + operand, "-": value - operand, "*": value * operand}[sign]
        result += shift if position == len(rest) - 2 else 0
        lines.append(f"{value} {sign} {operand} = {result}")
        value = result
    return "\n".join([*lines, f"The answer is {value}."])


def _prompt(messages: Sequence[Json]) -> str:
    return next((_content(m) for m in reversed(messages) if m["role"] == "user"), "")


def _content(message: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _cut(text: str, stop: str | Sequence[str] | None) -> str:
    for word in [stop] if isinstance(stop, str) else stop or ():
        text = text.split(word, 1)[0]
    return text


def _numbers(prompt: str) -> list[str]:
    return re.findall(r"-?\d+", prompt)


def _quoted(prompt: str) -> list[str]:
    return [a or b for a, b in re.findall(r"'([^']+)'|\"([^\"]+)\"", prompt)]


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
