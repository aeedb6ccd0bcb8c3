"""Bodies of `POST /pooling` as vLLM defines them, checked; what is refused is said as vLLM says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_KINDS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    408: "RequestTimeoutError",
    413: "RequestEntityTooLargeError",
    429: "RateLimitError",
    500: "InternalServerError",
    502: "BadGatewayError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
}
_WRITTEN = (("float32", "little"), ("float32", "native"))
_INPUT = "give a text, a list of texts, a list of token ids, or a list of lists of token ids"


class Refused(Exception):
    """A request that gets an error with an HTTP status; `retry_after` in seconds where asking again may help."""

    def __init__(
        self, status: int, message: str, param: str | None = None, retry_after: int | None = None
    ) -> None:
        self.status, self.param, self.retry_after = status, param, retry_after
        super().__init__(message)

    @property
    def body(self) -> dict[str, object]:
        """The error as vLLM writes it."""
        kind = _KINDS.get(self.status, "BadRequestError")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}}


class Message(BaseModel):
    """One turn of a conversation, of text alone."""

    model_config = ConfigDict(strict=True, frozen=True)
    role: str
    content: str


class PoolingRequest(BaseModel):
    """What may be asked: `input` or `messages`, and how the rows are read and written. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)
    model: str | None = None
    input: str | list[str] | list[int] | list[list[int]] | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    task: Literal["token_classify"] | None = None
    use_activation: bool | None = None
    encoding_format: Literal["float", "base64"] = "float"
    add_special_tokens: bool | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = None
    request_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    add_generation_prompt: bool = False
    continue_final_message: bool = False
    normalize: object = None
    dimensions: object = None
    chat_template: object = None
    embed_dtype: object = "float32"
    endianness: object = "little"


def parsed(body: bytes) -> PoolingRequest:
    """The request in a JSON body; raises `Refused` (400) that names the first wrong field."""
    try:
        request = PoolingRequest.model_validate_json(body)
    except ValidationError as error:
        raise _wrong(error) from error
    refused = {
        "normalize": request.normalize,
        "dimensions": request.dimensions,
        "chat_template": request.chat_template,
    }
    for name, value in refused.items():
        if value is not None:
            message = f"{name} is not supported by this server: leave it out"
            raise Refused(400, message, name)
    if request.encoding_format == "base64" and (request.embed_dtype, request.endianness) not in _WRITTEN:
        message = "base64 is written as little-endian float32 here: leave embed_dtype and endianness out"
        raise Refused(400, message, "embed_dtype")
    if (request.input is None) == (request.messages is None):
        message = "give either input or messages"
        raise Refused(400, message, "input")
    return request


def _wrong(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = [str(part) for part in first["loc"]]
    if not place:
        return Refused(400, f"the body is not a JSON object: {first['msg']}")
    said = _INPUT if place[0] == "input" else first["msg"]
    return Refused(400, f"{place[0]}: {said}", place[0])
