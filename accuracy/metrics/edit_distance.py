"""How many characters must be inserted, deleted or replaced to make one text of another."""

from __future__ import annotations


def edit_distance(one: str, other: str) -> int:
    """Levenshtein distance in characters.

    Source: Wagner and Fischer, The string-to-string correction problem, JACM 21, 1974.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc"), edit_distance("a", "a")
    (3, 3, 0)
    """
    if one == other:
        return 0
    before = list(range(len(other) + 1))
    for row, left in enumerate(one, start=1):
        current = [row]
        for column, right in enumerate(other, start=1):
            replaced = before[column - 1] + (left != right)
            current.append(min(replaced, before[column] + 1, current[-1] + 1))
        before = current
    return before[-1]
