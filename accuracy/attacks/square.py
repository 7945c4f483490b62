"""Square Attack: a search that sees a model's scores only, one small square of the image at a time.

Andriushchenko, Croce, Flammarion and Hein, Square Attack: a query-efficient black-box adversarial
attack via random search, ECCV 2020, arXiv:1912.00049: the form for the largest change of a pixel.
Two things are for few queries and int8: the first squares are large, and a square stays when the
margin is the same, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.images.geometry import Pixels
from ...core.progress import SILENT, Progress
from ...core.types import Float64
from .input_pixels import InputPixels, Region

Places = NDArray[np.int64]
# (images (n, H, W, C), their places among all) -> by how much each is right, or below 0 (n,)
Margins = Callable[[Pixels, Places], Float64]

# Of 10,000 queries: after so many the squares get half the area, as the paper has it.
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_FULL_SEARCH = 10_000
_FIRST_SHARE = 0.8  # of the image, in the first squares


@dataclass(frozen=True)
class SearchBounds:
    """The largest change of a pixel, of 255, and the most images shown to the model for one."""

    epsilon: int
    queries: int


def square_attack(
    images: InputPixels,
    margins: Margins,
    bounds: SearchBounds,
    seed: int,
    progress: Progress = SILENT,
    activity: str = "attack",
) -> Pixels:
    """Return the images (N, H, W, C), changed until their margin is negative or queries run out.

    Those whose margin is negative from the beginning stay as they are. It begins with vertical
    stripes; a square of one colour is left in unless the margin gets larger. Each image has a
    random sequence of its own. Every query is a step of ``activity``.
    """
    best = images.pixels.copy()
    margin = margins(best, np.arange(len(best), dtype=np.int64))
    randoms = [np.random.default_rng([seed, index]) for index in range(len(best))]
    for query in range(bounds.queries):
        active = np.flatnonzero(margin >= 0).astype(np.int64)
        if not len(active):
            break
        tried = np.stack(
            [_changed(images, best, index, query, bounds, randoms[index]) for index in active]
        )
        values = margins(tried, active)
        # one that changes nothing too: scores in int8 move in steps, and none smaller is seen
        better = (values <= margin[active]) | (query == 0)
        best[active[better]], margin[active[better]] = tried[better], values[better]
        progress.step(activity, query + 1, bounds.queries)
    return best


def _changed(
    images: InputPixels,
    best: Pixels,
    index: int,
    query: int,
    bounds: SearchBounds,
    random: np.random.Generator,
) -> Pixels:
    """Return one more image to try: the stripes, or the best so far with another square."""
    clean, region = images.pixels[index], images.regions[index]
    if query == 0:
        width = region[1].stop - region[1].start
        return _with_signs(clean, clean, region, (1, width), bounds.epsilon, random)
    square = _square(region, square_share(query, bounds.queries), random)
    return _with_signs(clean, best[index], square, (1, 1), bounds.epsilon, random)


def _with_signs(
    clean: Pixels,
    image: Pixels,
    region: Region,
    places: tuple[int, int],
    epsilon: int,
    random: np.random.Generator,
) -> Pixels:
    """Return the image with ``clean`` plus or minus ``epsilon`` in a region, a sign a channel.

    Where that is what is there already, the signs are turned round: it would be a query for
    nothing.
    """
    signs = random.choice([-epsilon, epsilon], (*places, clean.shape[2]))
    changed = image.copy()
    for values in (signs, -signs):
        changed[region] = np.clip(clean[region].astype(np.int64) + values, 0, 255)
        if not np.array_equal(changed, image):
            break
    return changed


def square_share(query: int, queries: int) -> float:
    """Return what part of the image a square has, of the query of so many.

    >>> [square_share(query, 10_000) for query in (1, 10, 60, 9000)]
    [0.8, 0.4, 0.2, 0.0015625]
    """
    halvings = bisect_right(_HALVED_AFTER, query * _FULL_SEARCH / queries)
    return float(_FIRST_SHARE / 2**halvings)


def _square(region: Region, share: float, random: np.random.Generator) -> Region:
    """Return a square of that share of a region's area, somewhere inside it."""
    lengths = [axis.stop - axis.start for axis in region]
    side = max(1, min(round((share * lengths[0] * lengths[1]) ** 0.5), *lengths))
    starts = [
        axis.start + int(random.integers(length - side + 1))
        for axis, length in zip(region, lengths, strict=True)
    ]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
