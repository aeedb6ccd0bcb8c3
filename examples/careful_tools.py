"""Tools with rules: a search passes with one sample, a deployment is made only when it is sure enough."""

from adaptive_middleware import Middleware, Path, Request, Rule, best_of_n, optimal_stopping
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import ToolCall
from adaptive_middleware.verify.tool_schema import tool_schema

VERSION = {"type": "object", "properties": {"version": {"type": "integer"}}, "required": ["version"]}
TOOLS = [
    {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "deploy", "parameters": VERSION}},
]
RULES = (ToolRule("deploy", target=0.97, on_fail="abstain"), ToolRule("search", samples=1))


def call(name: str, **arguments: object) -> Path:
    """An answer that calls a tool."""
    return Path(tool_calls=(ToolCall(name, arguments),), finish_reason="tool_calls")


def main() -> None:
    """A harmless call, a call that is sure enough, and calls that are not."""
    strategy = careful(best_of_n(optimal_stopping(), max_samples=4, verify=True), RULES)
    scorer = TableScorer(lambda path: [0.98 if "8" in path.text else 0.6])
    rule = Rule("tools", strategy, tools=RULES)
    middleware = Middleware(rules=[rule], scorer=scorer, verifier=tool_schema())
    sure = [call("deploy", version="next"), call("deploy", version=7), call("deploy", version=8)]
    for script in ([call("search", query="x")], sure, [call("deploy", version=7)]):
        outcome = middleware.run(Request("Ship it.", tools=TOOLS), ScriptedSampler(script))
        said = outcome.chosen.text or outcome.chosen.tool_calls[0]
        print(len(outcome.considered), "samples:", said)


if __name__ == "__main__":
    main()
