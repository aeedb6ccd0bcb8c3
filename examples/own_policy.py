"""Your own policy is a function: here, three samples for a question that mentions money, else one."""

from adaptive_middleware import Middleware, Path, Request, Rule, best_of_n, report
from adaptive_middleware.strategies.select import majority_vote
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import State


def careful_with_money(state: State) -> int:
    """How many more samples to draw, given what is known so far."""
    return 3 - state.drawn


def about_money(request: Request) -> bool:
    """Whether the rule applies."""
    return "$" in request.text


def main() -> None:
    """Run both kinds of question against a scripted model."""
    voting = best_of_n(careful_with_money, max_samples=3, select=majority_vote, score=False)
    middleware = Middleware(rules=[Rule("money", voting, when=about_money)])
    model = ScriptedSampler(["The answer is 41.", "The answer is 42.", "The answer is 42."])

    for question in ("What is $84 / 2?", "Who wrote Emma?"):
        outcome = middleware.run(Request(question), model)
        answer: Path = outcome.chosen
        told = report(outcome)
        print(question, "->", answer.text, "|", told["decisions"] if told else "passed through")


if __name__ == "__main__":
    main()
