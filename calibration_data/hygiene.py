"""Warnings on sets of samples: copies, overlap, one class, a scale, images that are changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..core.diagnostics import Diagnostic
from .images.decode import ImageFacts, image_facts
from .images.geometry import Size
from .outlying_samples import outlying_samples
from .samples import Samples
from .sources.source_types import ImageArray, ImageFiles, ImageSource, TensorFiles

INSPECTED = 64  # images of a set, seeded, whose headers are read
_COPIES = 0.01  # share of copies above which there is a warning
_SMALL = 0.5  # of the input's height and width


def sample_warnings(
    calib: Samples | None, evaluation: Samples | None, seed: int
) -> tuple[Diagnostic, ...]:
    """Return the warnings on two sets of samples, of which either may be missing or serve for both.

    Raises SamplesError when a sample cannot be read.
    """
    if evaluation is None:
        if calib is None:
            return ()
        return (
            *_copies(calib, "calibration samples"),
            *outlying_samples(calib),
            *_of_images(calib, seed),
        )
    labels, images = _of_labels(evaluation), _of_images(evaluation, seed)
    if calib is None:
        return (*labels, *_copies(evaluation, "samples"), *images)
    outlying = outlying_samples(calib)
    if calib is evaluation:
        return (*labels, *_copies(evaluation, "samples"), *outlying, *images)
    return (
        *labels,
        *_copies(calib, "calibration samples"),
        *outlying,
        *_copies(evaluation, "evaluation samples"),
        *_overlap(calib, evaluation),
        *images,
    )


def _of_labels(samples: Samples) -> Iterator[Diagnostic]:
    labels = samples.labels
    if labels is not None and labels.is_by_name:
        yield Diagnostic(
            "evaluation-labels-by-name",
            "the labels count their classes otherwise than the model, so they are told by name",
            "nothing to do, unless a name stands for something else in the model",
        )
    classes = labels.strata() if labels is not None else None
    if classes is not None and len(classes) > 1 and len(np.unique(classes)) == 1:
        yield Diagnostic(
            "evaluation-one-class",
            f"all {len(classes)} evaluation samples have the label {classes[0]}",
            "a model that always says so would score 100 %: give samples of every class",
        )


def _copies(samples: Samples, use: str) -> Iterator[Diagnostic]:
    counts = Counter(_contents(samples, _sizes(samples)).values())
    copies = sum(count - 1 for count in counts.values())
    if copies > max(_COPIES * len(samples), 1):
        code = "calibration-copies" if use.startswith("cal") else "evaluation-copies"
        yield Diagnostic(
            code,
            f"{copies} of {len(samples)} {use} are copies of others",
            "they add no information, and make intervals look narrower than they are",
        )


def _overlap(calib: Samples, evaluation: Samples) -> Iterator[Diagnostic]:
    sizes = _sizes(calib) + _sizes(evaluation)
    calibrated = set(_contents(calib, sizes).values())
    shared = sum(digest in calibrated for digest in _contents(evaluation, sizes).values())
    if shared:
        yield Diagnostic(
            "calibration-overlap",
            f"{shared} of {len(evaluation)} evaluation samples are among those for calibration",
            "what was seen in calibration looks better than what was not: keep the sets apart",
        )


def _sizes(samples: Samples) -> Counter[int]:
    """Count the samples of each size in bytes: only those of equal size can be equal."""
    return Counter(_size(samples, int(index)) for index in samples.indices)


def _contents(samples: Samples, sizes: Counter[int]) -> dict[int, str]:
    """Return index -> digest of the content, of samples whose size another one has too."""
    source = samples.source
    return {
        int(index): source.content_digest(int(index))
        for index in samples.indices
        if sizes[_size(samples, int(index))] > 1
    }


def _size(samples: Samples, index: int) -> int:
    """Return the bytes of a sample's file; 0 in an array, whose samples all have the same size."""
    source = samples.source
    if not isinstance(source, (ImageFiles, TensorFiles)):
        return 0
    path = source.paths[index]
    return path.stat().st_size if path.exists() else -1 - index


def _of_images(samples: Samples, seed: int) -> Iterator[Diagnostic]:
    if samples.preprocess is None or not isinstance(samples.source, ImageSource):
        return
    chosen = samples.take(INSPECTED, seed)
    facts = [_facts(samples.source, int(index)) for index in chosen.indices]
    yield from _small(facts, samples.preprocess.size)
    yield from _dropped(facts)


def _facts(source: ImageSource, index: int) -> ImageFacts:
    if isinstance(source, ImageFiles):
        return image_facts(Path(source.paths[index]))
    assert isinstance(source, ImageArray)
    image = source.image(index)
    alpha = image.shape[2] == 4 and bool((image[:, :, 3] < 255).any())
    return ImageFacts((image.shape[0], image.shape[1]), alpha)


def _small(facts: list[ImageFacts], size: Size) -> Iterator[Diagnostic]:
    sizes = [image.size for image in facts]
    small = [image for image in sizes if max(np.divide(sorted(image), sorted(size))) < _SMALL]
    if 2 * len(small) > len(facts):
        smallest = min(small, key=np.prod)
        yield Diagnostic(
            "preprocess-small-images",
            f"{len(small)} of {len(facts)} images are less than half as large as the input "
            f"{size[0]}x{size[1]}, down to {smallest[0]}x{smallest[1]}",
            "enlarged images are blurred: give them in the size that the camera will have",
        )


def _dropped(facts: list[ImageFacts]) -> Iterator[Diagnostic]:
    total = len(facts)
    if alpha := sum(image.has_alpha for image in facts):
        yield Diagnostic(
            "preprocess-alpha",
            f"{alpha} of {total} images have transparent pixels; alpha is dropped, so that "
            "whatever colour lies under it shows",
            "blend them with the background that the model was trained with",
        )
    if deep := [image.highest for image in facts if image.highest is not None]:
        yield Diagnostic(
            "preprocess-16-bit",
            f"{len(deep)} of {total} images have 16 bits, up to the value {max(deep)}; the upper 8 "
            f"are kept, 0 to {max(deep) >> 8}",
            "scale them to 8 bits as in training, above all where a sensor gives 10 or 12 bits",
        )
    if turned := sum(image.is_turned for image in facts):
        yield Diagnostic(
            "preprocess-exif",
            f"{turned} of {total} images are turned as their EXIF data says",
            "frames of a camera have none: see that those have the same way up as in training",
        )
