"""A LangChain agent whose every model call gets the samples it needs; a fake OpenAI server stands for the provider."""

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware.testing.fake_openai import fake_openai
from langchain_adaptive import AdaptiveComputeMiddleware

CONFIG = {
    "version": 1,
    "policies": {
        "default": {
            "strategy": "best-of-n",
            "policy": {"kind": "agreement", "confidence": 0.9},
            "select": "majority",
            "max_samples": 6,
        }
    },
}


@tool
def legs(spiders: int) -> int:
    """Count the legs of a number of spiders."""
    print(f"the tool runs: legs({spiders})")
    return 8 * spiders


def main() -> None:
    """Let the agent call its tool once, and show what was drawn for each of its turns."""
    with fake_openai() as server:
        model = ChatOpenAI(model="fake+split", base_url=server.url, api_key="none")
        agent = create_agent(model, [legs], middleware=[AdaptiveComputeMiddleware.from_config(CONFIG)])
        state = agent.invoke({"messages": [HumanMessage("How many legs do 3 spiders have?")]})
    for message in state["messages"]:
        print(f"{message.type}: {message.text or [call['args'] for call in message.tool_calls]}")
        report = message.response_metadata.get("adaptive")
        if report is not None:
            print(
                f"  {report['samples']} samples, {report['selected_by']}: {report['decisions'][-1]['because']}"
            )
    print("spent:", state["adaptive_spend"])


if __name__ == "__main__":
    main()
