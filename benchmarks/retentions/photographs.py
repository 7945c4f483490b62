"""Crops of some hundreds of photographs for the classifiers: animals, buildings, tools and others.

The scenes of ``quantizations.photos`` and the photographs of GCompris, nothing put before them. A
photograph belongs to the calibration or to the test, and all of a side come equally often.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..quantizations.crops import Sample, cut, prepared, side_of
from ..quantizations.gcompris import gcompris_photographs
from ..quantizations.photos import scenes

_SEED = 1000


def photographs(role: str, count: int, work: Path, size: int) -> Iterator[Sample]:
    """Yield ``count`` crops (3, size, size) of the photographs of a role, calib or test.

    The first ones are always the same, however many are asked for.
    """
    rng = np.random.default_rng([_SEED, role == "test"])
    photos = side_of([*scenes(work), *gcompris_photographs(work)], role)
    for index in range(count):
        photo = photos[index % len(photos)]
        yield Sample(prepared(cut(photo, None, size, rng)), photo.name)
