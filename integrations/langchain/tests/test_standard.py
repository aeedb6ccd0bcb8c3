"""LangChain's own conformance suites, with one sample and with three samples for every call."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel

# Both are langchain-openai's own, with or without our wrapper: it dumps chunks in which the openai client has filled
# `parsed` with the user's class, and it says which method it takes for schemas of pydantic 1.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema:UserWarning"),
]


class Standard:
    """What both suites are told about the model."""

    middleware = Middleware()
    url = "http://127.0.0.1:9/v1"
    supports_json_mode = True
    supports_model_override = True
    model_override_value = "fake-2"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return AdaptiveChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        inner = ChatOpenAI(
            base_url=self.url, api_key="none", model="fake", stream_usage=True, max_retries=0, temperature=0
        )
        return {"inner": inner, "middleware": self.middleware}

    @pytest.fixture(autouse=True)
    def _served(self, running_server: Server) -> None:
        type(self).url = running_server.url


def three_samples() -> Middleware:
    return Middleware(best_of_n(fixed(3), max_samples=3), scorer=TableScorer(0.5))


class TestStandardUnitOneSample(Standard, ChatModelUnitTests):
    pass


class TestStandardUnitThreeSamples(Standard, ChatModelUnitTests):
    middleware = three_samples()


class TestStandardIntegrationOneSample(Standard, ChatModelIntegrationTests):
    pass


class TestStandardIntegrationThreeSamples(Standard, ChatModelIntegrationTests):
    middleware = three_samples()
