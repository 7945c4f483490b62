"""Which samples are held out: so many of every few, at positions drawn by chance.

Samples often come in a regular order: class after class in turn, every second one upside down.
Held out at one fixed position of four, they would be of one kind alone, which the others then lack.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_SEED = 41


def shuffled_position(index: int, every: int) -> int:
    """Return a sample's position among ``every`` consecutive ones when these are shuffled.

    The same whenever it is asked. The first ones stay in their order, so that who holds out another
    position than 0 is left with a sample, however few there are.

    >>> [shuffled_position(index, 4) for index in range(4)]
    [0, 1, 2, 3]
    >>> sorted(shuffled_position(index, 4) for index in range(4, 8))
    [0, 1, 2, 3]
    """
    block, position = divmod(index, every)
    return position if block == 0 else _order(block, every)[position]


@lru_cache(maxsize=1 << 12)
def _order(block: int, every: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng([_SEED, every, block]).permutation(every).tolist())
