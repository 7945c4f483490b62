"""Samples with what they show: those of the quantization benchmark, the demo's, and text pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..quantizations.crops import Sample
from ..quantizations.lines import lines
from ..quantizations.samples import SampleSet, kept_samples
from ..quantizations.samples import sample_set as known_set
from ..retentions.pages import pages as turned_pages
from ..retentions.photographs import photographs
from .methods import CLS, DEMO, DET, LITE1, ORIENTATION

_PAGE, _LINE = 320, (32, 256)  # pixels: a square page, and the height and width of a line on it
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the detector
_SEED = 77


def sample_set(model: str, role: str, count: int, work: Path) -> SampleSet:
    """Return the samples of a model for calib or test, made below ``work`` if not there yet."""
    makers: dict[str, Callable[[str, int], Iterator[Sample]]] = {
        DEMO: _demo,
        DET: _pages,
        ORIENTATION: partial(turned_pages, size=224, is_turned=True),
        LITE1: partial(photographs, work=work, size=240),
    }
    if model in makers:
        folder = work / "samples" / f"{model}-{role}-{count}"
        return kept_samples(folder, count, makers[model](role, count))
    return known_set(model, role, count, work)


def labels_of(model: str, samples: SampleSet) -> list[int] | None:
    """Return the true classes; None where a model is held against itself."""
    if model in (DEMO, ORIENTATION):
        return [int(text) for text in samples.texts]
    return [index % 2 for index in range(samples.count)] if model == CLS else None


def _demo(role: str, count: int) -> Iterator[Sample]:
    """Return the bundled pictures of clothes, with their class as the text."""
    from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, TEST, sample_path

    with np.load(sample_path(TEST if role == "test" else CALIBRATION)) as bundled:
        images = bundled["images"][:count]
        labels = bundled["labels"] if role == "test" else np.zeros(count, np.int64)
    for index, (image, label) in enumerate(zip(images, labels, strict=False)):
        pixels = (image[np.newaxis] - DEMO_PREPROCESS.mean[0]) / DEMO_PREPROCESS.std[0]
        yield Sample(pixels.astype(np.float32), f"picture {index}", str(int(label)))


def _pages(role: str, count: int) -> Iterator[Sample]:
    """Return pages of one grey with one to six rendered lines at random places."""
    rng = np.random.default_rng([_SEED, role == "test"])
    source = lines(role, 6 * count, *_LINE)
    height, width = _LINE
    for index in range(count):
        page = np.full((3, _PAGE, _PAGE), rng.uniform(0, 1), np.float32)
        for top in range(0, _PAGE - height, _PAGE // 6):
            line = next(source).values
            if rng.random() < 0.6:
                left, down = rng.integers(_PAGE - width), rng.integers(_PAGE // 6 - height)
                page[:, top + down : top + down + height, left : left + width] = line / 2 + 0.5
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (_MEAN, _STD))
        yield Sample((page - mean) / std, f"page {index}")
