"""How sure a share is that was seen in so many samples, in closed form."""

from __future__ import annotations

import math

Interval = tuple[float, float]

Z95 = 1.959963984540054  # 97.5 % of the normal distribution lie below


def proportion_interval(value: float, samples: int, z: float = Z95) -> Interval:
    """Return the 95 % Wilson interval of a share, such as top-1 accuracy, seen in so many samples.

    Of the mean of other numbers from 0 to 1 it is at least as wide as that of their own spread.
    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22,
    1927. It is scipy.stats.binomtest(...).proportion_ci(method="wilson"), whose import takes longer
    than the rest of a check of a small model.

    >>> low, high = proportion_interval(0.9, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    share, spread = min(max(value, 0.0), 1.0), z * z / samples
    centre = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))


def unseen_share(samples: int, z: float = Z95) -> float:
    """Return how large a share of all may be what none of so many samples shows.

    That is the far end of Wilson's interval of none, a little more than the rule of three gives
    (3 / samples: Hanley and Lippman-Hand, JAMA 249, 1983), which looks at one end only.

    >>> round(unseen_share(12), 3), round(unseen_share(1000), 4)
    (0.242, 0.0038)
    """
    return z * z / (samples + z * z)


def samples_for(share: float, z: float = Z95) -> float:
    """Return how many samples must not show what at most this share of all has.

    >>> samples_for(unseen_share(12))
    12.0
    """
    return z * z * (1 - share) / share
