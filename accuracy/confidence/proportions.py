"""Shares of samples that are right: their intervals, and exact tests, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...core.proportion import Z95, Interval, proportion_interval


@dataclass(frozen=True)
class Pairs:
    """How many samples both models have right, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.both + self.first + self.second + self.neither


def ratio_interval(pairs: Pairs, z: float = Z95) -> Interval:
    """Return the interval of share(second) / share(first), of models run on the same samples.

    Source: Bonett and Price, Confidence intervals for a ratio of binomial proportions based on
    paired data, Statistics in Medicine 25, 2006: two Wilson intervals, narrowed by how much the
    models go together. It covers 95 % also where two or three samples differ, where the bootstrap's
    percentiles cover far less, and it has a width where none does. Needs a share(first) above 0.

    >>> low, high = ratio_interval(Pairs(900, 20, 10, 70))
    >>> round(low, 4), round(high, 4)
    (0.9774, 1.001)
    """
    any_right = pairs.both + pairs.first + pairs.second
    right = pairs.both + pairs.second, pairs.both + pairs.first
    spread = math.sqrt((pairs.first + pairs.second + 2) / ((right[0] + 1) * (right[1] + 1)))
    errors = [_log_error((count + 1) / (any_right + 2), any_right + 2) for count in right]
    narrowed = z * spread / sum(errors)
    (low, high), (low_first, high_first) = (
        proportion_interval(count / any_right, any_right, narrowed) for count in right
    )
    return low / high_first, high / low_first if low_first > 0 else math.inf


def difference_interval(pairs: Pairs, z: float = Z95) -> Interval:
    """Return the interval of share(second) - share(first), of models run on the same samples.

    Source: Bonett and Price, Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data, Journal of Educational and Behavioral Statistics 37, 2012.

    >>> low, high = difference_interval(Pairs(900, 20, 10, 70))
    >>> round(low, 4), round(high, 4)
    (-0.021, 0.0011)
    """
    worse, better = ((count + 1) / (pairs.samples + 2) for count in (pairs.first, pairs.second))
    difference = better - worse
    half = z * math.sqrt((worse + better - difference**2) / (pairs.samples + 2))
    return max(-1.0, difference - half), min(1.0, difference + half)


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided exact p of wins against losses, as likely as each other; no ties.

    Source: Arbuthnott, An argument for divine providence, Philosophical Transactions 27, 1710. Of
    samples that only one model has right it is the exact form of McNemar's test (Note on the
    sampling error of the difference between correlated proportions, Psychometrika 12, 1947).

    >>> [round(sign_test(*counts), 6) for counts in ((5, 0), (3, 3), (0, 0))]
    [0.0625, 1.0, 1.0]
    """
    differ, fewer = wins + losses, min(wins, losses)
    # the terms in logarithms: 0.5 ** 2000 is no float any more
    total = math.lgamma(differ + 1) - differ * math.log(2)
    tail = math.fsum(
        math.exp(total - math.lgamma(count + 1) - math.lgamma(differ - count + 1))
        for count in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def _log_error(share: float, samples: int) -> float:
    return math.sqrt((1 - share) / (samples * share))
