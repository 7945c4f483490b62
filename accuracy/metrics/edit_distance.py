"""How many characters must be inserted, deleted or replaced to make one text of another."""

from __future__ import annotations


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance in characters.

    Source: Wagner and Fischer, The string-to-string correction problem, JACM 21, 1974.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc"), edit_distance("a", "a")
    (3, 3, 0)
    """
    if first == second:
        return 0
    before = list(range(len(second) + 1))
    for row, left in enumerate(first, start=1):
        current = [row]
        for column, right in enumerate(second, start=1):
            replaced = before[column - 1] + (left != right)
            current.append(min(replaced, before[column] + 1, current[-1] + 1))
        before = current
    return before[-1]
