"""How hard the stories of each level are."""

from typing import NamedTuple


class Grade(NamedTuple):
    """What may happen in a story of one level."""

    operations: int
    start: int  # largest first number
    change: int  # largest number added or taken away
    limit: int  # largest intermediate result
    events: str  # gain, loss, times, packs, relation to a new person
    noise: int  # irrelevant sentences


GRADES = {
    1: Grade(1, 30, 20, 50, "gl", 0),
    2: Grade(2, 60, 40, 99, "gl", 0),
    3: Grade(2, 60, 60, 199, "glt", 1),
    4: Grade(3, 90, 90, 199, "gltr", 0),
    5: Grade(3, 200, 200, 499, "gltpr", 1),
    6: Grade(4, 300, 200, 699, "gltpr", 1),
    7: Grade(5, 500, 400, 999, "gltpr", 1),
    8: Grade(6, 600, 400, 999, "gltpr", 2),
}
