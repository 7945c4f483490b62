"""The exact paired test: are the wins of one over another more than chance?"""

from __future__ import annotations

import math


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p of ``wins`` against ``losses`` when both are as likely; ties left out.

    Source: Arbuthnott, An argument for divine providence, Philosophical Transactions 27, 1710; for
    right and wrong answers it is the exact form of McNemar's test.

    >>> [round(sign_test(*one), 6) for one in ((5, 0), (3, 3), (0, 0))]
    [0.0625, 1.0, 1.0]
    """
    differ, fewer = wins + losses, min(wins, losses)
    # the terms in logarithms: 0.5 ** 2000 is no float any more
    total = math.lgamma(differ + 1) - differ * math.log(2)
    tail = math.fsum(
        math.exp(total - math.lgamma(place + 1) - math.lgamma(differ - place + 1))
        for place in range(fewer + 1)
    )
    return min(1.0, 2 * tail)
