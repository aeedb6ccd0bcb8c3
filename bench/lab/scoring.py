"""Scores of whole recordings by the lab's PRM, many answers of a problem in one row."""

from collections.abc import Iterator, Sequence

import torch

from bench.lab import judge, text, trees

_TOKENS_PER_ROW = 400


def _branch(steps: Sequence[str]) -> trees.Branch:
    tokens = [token for step in text.marked(steps) for token in step] or [text.marker_id()]
    return trees.Branch(0, tokens, [0.0] * len(tokens), [0.0] * len(tokens))


def _rows(question: str, answers: Sequence[Sequence[str]]) -> Iterator[trees.Row]:
    prompt = text.prompt(question)
    row = trees.Row(prompt, [])
    for one in map(_branch, answers):
        if row.branches and len(row) + len(one.tokens) > _TOKENS_PER_ROW:
            yield row
            row = trees.Row(prompt, [])
        row.branches.append(one)
    yield row


def _in_row(model: judge.Judge, row: trees.Row) -> Iterator[list[float]]:
    """The scores at the markers of each branch."""
    batch = trees.pack([row]).to(next(model.parameters()).device)
    scores, start, marker = model.scores(batch)[0].tolist(), len(row.prompt), text.marker_id()
    for one in row.branches:
        yield [round(scores[start + index], 5) for index, token in enumerate(one.tokens) if token == marker]
        start += len(one.tokens)


@torch.inference_mode()
def score(model: judge.Judge, question: str, answers: Sequence[Sequence[str]]) -> list[list[float]]:
    """One score per step of each answer (each a list of lines); an empty answer gets the score of the question.

    A score depends on nothing that comes later, so an answer that begins another one is not computed again.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    longest = sorted({tuple(answer) for answer in answers}, key=len, reverse=True)
    begun = {answer[:cut] for answer in longest for cut in range(1, len(answer))}
    asked = [answer for answer in longest if answer not in begun]
    found = (scores for row in _rows(question, asked) for scores in _in_row(model, row))
    for answer, scores in zip(asked, found, strict=True):
        known |= {answer[:cut]: scores[:cut] for cut in range(1, len(answer) + 1)} or {answer: scores}
    return [known[tuple(answer)] for answer in answers]
