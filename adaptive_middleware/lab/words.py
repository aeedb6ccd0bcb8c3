"""The words of the lab's stories: people, things, and how events are told."""

PEOPLE = (
    *(("Ana", "She"), ("Mia", "She"), ("Eva", "She"), ("Zoe", "She"), ("Lena", "She"), ("Ruth", "She")),
    *(("Ben", "He"), ("Tom", "He"), ("Max", "He"), ("Leo", "He"), ("Omar", "He"), ("Paul", "He")),
)
ITEMS = (
    "pens",
    "apples",
    "books",
    "coins",
    "cards",
    "stamps",
    "shells",
    "eggs",
    "beads",
    "marbles",
    "nuts",
    "buttons",
)
GAIN = (
    "{who} buys {n} more.", "{who} finds {n} {items}.", "{friend} gives {name} {n} {items}.",
    "{who} wins {n} more {items}.", "Then {name} gets {n} {items} from {friend}.",
)  # fmt: skip
LOSS = (
    "{who} loses {n} of them.", "{who} gives {n} {items} to {friend}.", "{who} sells {n} {items}.",
    "Then {n} of the {items} break.", "{friend} takes {n} {items} from {name}.",
)  # fmt: skip
TIMES = ("Then {name} gets {n} times as many {items}.", "The number of {items} is multiplied by {n}.")
PACKS = ("{who} buys {k} boxes with {n} {items} each.", "Then {friend} brings {k} bags of {n} {items}.")
MORE = ("{friend} has {n} more {items} than {name}.",)
FEWER = ("{friend} has {n} fewer {items} than {name}.",)
TIMES_AS_MANY = ("{friend} has {n} times as many {items} as {name}.",)
START = (
    "{name} has {n} {items}.",
    "{name} starts with {n} {items}.",
    "There are {n} {items} on the desk of {name}.",
)
NOISE = (
    "{friend} has {n} {others}.", "{name} is {n} years old.", "The bus to town costs {n} dollars.",
    "{who} also has {n} {others}.", "School starts in {n} days.", "{friend} sees {n} {others} in a shop.",
)  # fmt: skip
ASK = ("How many {items} does {name} have now?", "How many {items} does {name} have in the end?")


def conclude(answer: int) -> str:
    """The last line of every solution."""
    return f"The answer is {answer}."
