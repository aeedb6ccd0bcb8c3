"""Scores of whole recordings by the lab's PRM, many answers of a problem in one row."""

from collections.abc import Iterator, Sequence

import torch

from bench.lab import judge, text, trees

_TOKENS_PER_ROW = 900


def _branch(steps: Sequence[str]) -> trees.Branch:
    tokens = [token for step in text.marked(steps) for token in step] or [text.marker_id()]
    return trees.Branch(0, tokens, [0.0] * len(tokens), [0.0] * len(tokens))


def _rows(question: str, answers: Sequence[Sequence[str]]) -> Iterator[trees.Row]:
    prompt, waiting = text.prompt(question), list(map(_branch, answers))
    row = trees.Row(prompt, [])
    for one in waiting:
        if row.branches and len(row) + len(one.tokens) > _TOKENS_PER_ROW:
            yield row
            row = trees.Row(prompt, [])
        row.branches.append(one)
    yield row


@torch.inference_mode()
def score(model: judge.Judge, question: str, answers: Sequence[Sequence[str]]) -> list[list[float]]:
    """One score per step of each answer (each a list of lines); an empty answer gets the score of the question."""
    found: list[list[float]] = []
    for row in _rows(question, answers):
        batch = trees.pack([row]).to(next(model.parameters()).device)
        scores, start = model.scores(batch)[0].tolist(), len(row.prompt)
        for one in row.branches:
            end = start + len(one.tokens)
            marks = (index for index in range(start, end) if one.tokens[index - start] == text.marker_id())
            found.append([round(scores[index], 5) for index in marks])
            start = end
    return found
