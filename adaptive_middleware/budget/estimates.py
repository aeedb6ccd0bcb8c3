"""What a call may cost at worst, costs for certain, and did cost: from the request, its price and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.budget.amounts import Amounts, checked, micro_dollars
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Assumed
from adaptive_middleware.budget.prices import PriceOf
from adaptive_middleware.errors import PriceUnknown
from adaptive_middleware.types import Path, Request, Usage

LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
PER_MESSAGE = 16
"""Tokens that a chat template puts around a message, at most."""
LETTERS_PER_TOKEN = 4
"""Bytes of text in a token, about; only for what nobody counted."""


@dataclass(slots=True)
class Estimates:
    """The costs of answers to one request, in the units of `caps`.

    At worst a token is one byte of what is sent, until the provider has counted the prompt once; an answer has
    as many tokens as the request allows, else `assumed.answer_tokens`.
    """

    request: Request
    caps: tuple[Cap, ...]
    price: PriceOf
    assumed: Assumed
    counted: int | None = None
    """Prompt tokens, once the provider counted them."""

    def worst(self, read: Sequence[Path] = ()) -> Amounts:
        """One more answer at worst, or one that goes on from the longest of the paths in `read`.

        Raises `PriceUnknown`.
        """
        prompt = self._most_prompt() if self.counted is None else self.counted
        prompt += max((_bytes(path.text) for path in read), default=0)
        return self._amounts(Usage(prompt, self._longest(), requests=1))

    def certain(self) -> Amounts:
        """What an answer costs as soon as the request is sent: the prompt, never nothing."""
        sent = min(_bytes(self.request.text) // LETTERS_PER_TOKEN, self.assumed.prompt_tokens)
        return self._amounts(Usage(max(sent, 1) if self.counted is None else self.counted, requests=1))

    def read(self, path: Path) -> Amounts:
        """What an answer that is still open costs for certain: the prompt, and what was read of it."""
        answer = max(_bytes(path.text) // LETTERS_PER_TOKEN, path.usage.completion_tokens)
        return self.certain() + self._amounts(Usage(completion_tokens=answer))

    def spent(self, path: Path) -> Amounts:
        """What an answer cost; raises `UsageRefused` for a usage that cannot be true.

        Where the provider counted nothing of a text, that is estimated.
        """
        usage = checked(path.usage)
        if path.text and not usage.prompt_tokens and not usage.completion_tokens:
            return self.read(path)
        if usage.prompt_tokens:
            self.counted = max(usage.prompt_tokens, self.counted or 0)
        return self._amounts(usage)

    def _amounts(self, usage: Usage) -> Amounts:
        return Amounts(usage.prompt_tokens + usage.completion_tokens, usage.requests, self._usd(usage))

    def _usd(self, usage: Usage) -> int:
        """Micro-dollars; 0 where no cap counts them, or where an unknown price is allowed."""
        capped = [cap for cap in self.caps if cap.unit == "usd"]
        if not capped:
            return 0
        if usage.usd is not None:
            return micro_dollars(usage.usd)
        model = self.request.model
        found = None if model is None else self.price(model, usage)
        if found is None and any(cap.unknown_price == "deny" for cap in capped):
            message = (
                f"the budget '{capped[0].name}' needs the price of model {model!r}, which nobody knows; "
                "add it to budget.prices, or set unknown_price: allow"
            )
            raise PriceUnknown(message)
        return found or 0

    def _longest(self) -> int:
        given = (self.request.parameters.get(name) for name in LIMITS)
        limits = [limit for limit in given if isinstance(limit, int) and limit > 0]
        return max(limits, default=self.assumed.answer_tokens)

    def _most_prompt(self) -> int:
        if all(cap.unit in {"requests", "prm_ms"} for cap in self.caps):
            return 0
        request = self.request
        sent = max(_bytes(request.text), sum(_bytes(str(each)) for each in request.messages))
        tools = sum(_bytes(str(tool)) for tool in request.tools)
        bound = sent + tools + PER_MESSAGE * (1 + len(request.messages) + len(request.tools))
        return min(bound, self.assumed.prompt_tokens)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
