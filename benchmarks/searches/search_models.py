"""The models that are searched, each as a recipe with labelled samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rockpress.pipeline.recipes.recipe import Recipe, make_recipe

from ..prunings.measuring import model_of
from ..prunings.methods import CLS, DEMO, LITE0
from ..prunings.samples import labels_of, sample_set
from ..prunings.scores import points
from ..quantizations.running import reference

NAMES = (DEMO, CLS, LITE0)
# calibration and labelled samples, a third of the latter unseen by the search
_COUNTS = {CLS: (100, 900), LITE0: (100, 400)}


def search_recipe(name: str, work: Path) -> Recipe:
    """Return the recipe of a model, with samples that are made below ``work`` when needed.

    The classes of EfficientNet-Lite0 are the float model's own, where it is sure of them.
    """
    if name == DEMO:
        return _demo()
    calib_count, count = _COUNTS[name]
    calib = sample_set(name, "calib", calib_count, work)
    return make_recipe(
        model_of(name, work),
        calib=calib.listing.resolve(),
        calib_count=calib_count,
        eval=_labelled(name, count, work).resolve(),
        metric="top1",
        family="off",
    )


def _demo() -> Recipe:
    from rockpress.calibration_data.bundled import (
        CALIBRATION,
        DEMO_PREPROCESS,
        MODEL,
        TEST,
        sample_path,
    )

    return make_recipe(
        sample_path(MODEL),
        calib=sample_path(CALIBRATION),
        eval=sample_path(TEST),
        mean=DEMO_PREPROCESS.mean,
        std=DEMO_PREPROCESS.std,
    )


def _labelled(name: str, count: int, work: Path) -> Path:
    """Return the test samples with a class each in one .npz."""
    file = work / "labelled" / f"{name}-{count}.npz"
    if file.is_file():
        return file
    samples = sample_set(name, "test", count, work)
    images = np.load(samples.together)[:, 0]
    labels = labels_of(name, samples)
    if labels is None:
        outputs = reference(name, model_of(name, work), samples, work)
        worth = points(name, file, outputs, outputs, None, samples.texts)
        is_sure = ~np.isnan(worth)
        images, labels = images[is_sure], list(outputs.argmax(1)[is_sure])
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez(part, images=images, labels=np.array(labels, np.int64))
    return part.rename(file)
