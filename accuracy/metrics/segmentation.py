"""Semantic segmentation: mean intersection over union of the classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.images.geometry import ImagePlacement
from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import SamplesError
from ...core.types import Array
from .measurement import Scores, Sums
from .metric import Metric, MetricTable, Outputs, Predictions

# A 16-bit PNG holds no more.
MOST = 65535


@dataclass(frozen=True)
class MeanIou(Metric):
    """Mean over the classes of |found and there| / |found or there|, in pixels of all samples.

    A class that is neither found nor there is left out. Source: Everingham et al., The PASCAL
    Visual Object Classes Challenge, IJCV 111, 2015, section 4.2.
    """

    ignore: int = field(default=255, metadata={"help": "the mask's value for pixels of no class"})
    kind: ClassVar[Kind | None] = "mask"

    @property
    def name(self) -> str:
        """Its name."""
        return "miou"

    def predict(self, outputs: Outputs) -> Array:
        """The class of each pixel, (N, H, W), from scores (N, classes, H, W), or as they are."""
        output = np.asarray(outputs[0])
        if output.ndim == 4 and output.shape[1] > 1:
            found: Array = np.stack([one.argmax(axis=0) for one in output])
        elif output.ndim == 4 or (output.ndim == 3 and output.dtype.kind in "iu"):
            plane = output.reshape(len(output), *output.shape[-2:])
            # one score a pixel: the sign of a logit tells the two classes
            found = plane.astype(np.int64) if plane.dtype.kind in "iu" else (plane > 0).astype(int)
        else:
            raise SamplesError(
                f"the output of shape {output.shape} holds no classes a pixel",
                "miou reads (N, classes, H, W), or class indices (N, H, W): name it with "
                f"{option('metric-output')}",
            )
        most = int(found.max())
        return found.astype(np.uint8 if most < 256 else np.int64)

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """What each sample adds to every class's intersection and union."""
        truths = (np.asarray(mask, np.int64) for mask in labels)
        tables = [
            pixel_counts(np.asarray(found), truth, self.ignore)
            for found, truth in zip(predictions, truths, strict=True)
        ]
        classes = max(len(one) for one in tables)
        rows = np.zeros((len(tables), 2, classes))
        for row, table in zip(rows, tables, strict=True):
            row[:, : len(table)] = table.T
        flat = rows.reshape(len(rows), -1)
        return Sums(mean_iou(flat), flat, mean_iou)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """The share of pixels of the same class."""
        return float(np.mean([np.mean(a == b) for a, b in zip(first, second, strict=True)]))

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        """The intersection over union of every class in both models."""
        found = [_of_classes(self.measure(one, labels).rows.sum(axis=0)) for one in (first, second)]
        return {
            "classes": [
                {"class": str(place), "baseline": float(before), "candidate": float(after)}
                for place, (before, after) in enumerate(zip(*found, strict=False))
                if np.isfinite(before) or np.isfinite(after)
            ]
        }

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        """The classes and their shares of the pixels, the largest first."""
        return _shares(np.asarray(prediction))

    def truth(self, labels: Labels, index: int) -> str:
        """The classes of the mask and their shares."""
        mask = np.asarray(labels[index])
        return _shares(mask[mask != self.ignore])


def pixel_counts(found: Array, truth: NDArray[np.int64], ignore: int) -> NDArray[np.int64]:
    """Pixels in the intersection and in the union of each class, (classes, 2).

    Predictions (h, w) of another size are read at the nearest pixel. What the mask ignores counts
    neither way. Raises SamplesError for a class below 0 or above MOST.

    >>> pixel_counts(np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 255]]), 255).tolist()
    [[1, 2], [1, 2]]
    """
    if found.shape != truth.shape:
        scale = (truth.shape[0] / found.shape[0], truth.shape[1] / found.shape[1])
        found = ImagePlacement(scale, (0, 0), (truth.shape[0], truth.shape[1])).mask(found)
    known = truth != ignore
    a, b = found[known].astype(np.int64), truth[known]
    least = int(min(a.min(initial=0), b.min(initial=0)))
    most = int(max(a.max(initial=0), b.max(initial=0)))
    if least < 0 or most > MOST:
        raise SamplesError(
            f"classes from {least} to {most} in a mask or output",
            f"classes count from 0 to {MOST}; miou's option ignore names the value of no class",
        )
    size = most + 1
    both = np.bincount(a[a == b], minlength=size)
    either = np.bincount(a, minlength=size) + np.bincount(b, minlength=size) - both
    return np.stack([both, either], axis=1)


def mean_iou(sums: Scores) -> Scores:
    """(R,) from intersections and unions side by side, (R, 2 classes); NaN where there is none."""
    intersections, unions = np.split(sums, 2, axis=1)
    there = unions > 0
    ious = intersections / np.where(there, unions, 1)
    found: Scores = ious.sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)
    return found


def _of_classes(sums: Scores) -> Scores:
    intersections, unions = np.split(sums, 2)
    found: Scores = intersections / np.where(unions > 0, unions, np.nan)
    return found


def _shares(classes: Array) -> str:
    values, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts)[:3]
    return ", ".join(f"{values[one]}: {counts[one] / max(classes.size, 1):.0%}" for one in order)


METRICS: MetricTable = {"miou": MeanIou()}
