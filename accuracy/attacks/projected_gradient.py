"""PGD: steps along the sign of a model's gradients, each put back to within the largest change.

Madry, Makelov, Schmidt, Tsipras and Vladu, Towards Deep Learning Models Resistant to Adversarial
Attacks, ICLR 2018, arXiv:1706.06083.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...core.progress import SILENT, Progress
from ...core.types import Float32
from .input_pixels import InputPixels

# images (N, H, W, C), not of whole numbers -> the gradient of their loss, of the same shape
PixelGradients = Callable[[Float32], Float32]

STEPS = 10
_REACH = 2.5  # times the largest change, of all steps together


def projected_gradient(
    images: InputPixels,
    gradients: PixelGradients,
    epsilon: int,
    seed: int,
    progress: Progress = SILENT,
    activity: str = "attack",
) -> Pixels:
    """Return the images (N, H, W, C), each pixel changed by at most ``epsilon`` of 255.

    It starts at a seeded random place within that, and ends at whole numbers. Every step is one of
    ``activity``.
    """
    clean = images.pixels.astype(np.float32)
    free = _free(images)
    low, high = (np.clip(clean + sign * epsilon, 0, 255) for sign in (-1, 1))
    start = np.random.default_rng(seed).uniform(-epsilon, epsilon, clean.shape)
    changed = np.clip(clean + free * start.astype(np.float32), low, high)
    for step in range(STEPS):
        # a gradient that is not finite points nowhere
        ahead = (
            np.sign(np.nan_to_num(gradients(changed))) * free * np.float32(_REACH * epsilon / STEPS)
        )
        changed = np.clip(changed + ahead, low, high)
        progress.step(activity, step + 1, STEPS)
    whole: Pixels = np.rint(changed).astype(np.uint8)
    return whole


def _free(images: InputPixels) -> Float32:
    """Return 1 where the image lies and 0 beside it, (N, H, W, 1)."""
    free = np.zeros((*images.pixels.shape[:3], 1), np.float32)
    for mask, region in zip(free, images.regions, strict=True):
        mask[region] = 1
    return free
