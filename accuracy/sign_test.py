"""The exact paired test: are the wins of one setting over another more than chance?"""

from __future__ import annotations

from math import comb


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p of ``wins`` against ``losses`` when both are as likely; ties left out.

    Source: for right and wrong answers this is the exact form of McNemar, Note on the sampling
    error of the difference between correlated proportions or percentages, Psychometrika 12, 1947.

    >>> sign_test(5, 0), sign_test(3, 3), sign_test(0, 0)
    (0.0625, 1.0, 1.0)
    """
    total, fewer = wins + losses, min(wins, losses)
    tail = sum(comb(total, count) for count in range(fewer + 1))
    share: float = 2 * tail / 2**total
    return min(1.0, share)
