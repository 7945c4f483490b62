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
from ...core.results.predictions import ClassShare, PredictedMap, class_name
from ...core.types import Array
from .measurement import Scores, Sums
from .metric import Listing, Metric, MetricTable, Outputs, Predictions

# a 16-bit PNG holds no more
MOST = 65535


@dataclass(frozen=True)
class MeanIou(Metric):
    """Mean over the classes of |predicted and true| / |predicted or true| pixels of all samples.

    A class that is neither predicted nor true is left out. Source: Everingham et al., The PASCAL
    Visual Object Classes Challenge, IJCV 111, 2015, section 4.2.
    """

    ignore: int = field(default=255, metadata={"help": "the mask's value for pixels of no class"})
    name: ClassVar[str] = "miou"
    kind: ClassVar[Kind | None] = "mask"
    perfect: ClassVar[float | None] = 1.0

    def predict(self, outputs: Outputs) -> Array:
        """Return each pixel's class, (N, H, W), from scores (N, classes, H, W), or as they are."""
        output = np.asarray(outputs[0])
        if output.ndim == 4 and output.shape[1] > 1:
            classes: Array = np.stack([scores.argmax(axis=0) for scores in output])
        elif output.ndim == 4 or (output.ndim == 3 and output.dtype.kind in "iu"):
            plane = output.reshape(len(output), *output.shape[-2:])
            # one score a pixel: the sign of a logit tells the two classes
            is_index = plane.dtype.kind in "iu"
            classes = plane.astype(np.int64) if is_index else (plane > 0).astype(int)
        else:
            raise SamplesError(
                f"the output of shape {output.shape} holds no classes a pixel",
                "miou reads (N, classes, H, W), or class indices (N, H, W): name it with "
                f"{option('metric-output')}",
            )
        most = int(classes.max())
        return classes.astype(np.uint8 if most < 256 else np.int64)

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Measure what each sample adds to every class's intersection and union."""
        truths = (np.asarray(mask, np.int64) for mask in labels)
        tables = [
            pixel_counts(np.asarray(prediction), truth, self.ignore)
            for prediction, truth in zip(predictions, truths, strict=True)
        ]
        classes = max(len(table) for table in tables)
        rows = np.zeros((len(tables), 2, classes))
        for row, table in zip(rows, tables, strict=True):
            row[:, : len(table)] = table.T
        flat = rows.reshape(len(rows), -1)
        return Sums(mean_iou(flat), flat, mean_iou)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float(np.mean([np.mean(a == b) for a, b in zip(first, second, strict=True)]))

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        rows = (self.measure(predictions, labels).rows for predictions in (first, second))
        ious = (_class_ious(added.sum(axis=0)) for added in rows)
        return {
            "classes": [
                {"class": str(label), "baseline": float(before), "candidate": float(after)}
                for label, (before, after) in enumerate(zip(*ious, strict=False))
                if np.isfinite(before) or np.isfinite(after)
            ]
        }

    def plain(self, prediction: Any, listing: Listing) -> PredictedMap:
        pixels = np.asarray(prediction)
        values, counts = np.unique(pixels, return_counts=True)
        shares = tuple(
            ClassShare(label, class_name(label, listing.names), count / pixels.size)
            for label, count in sorted(
                zip(values.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1]
            )
        )
        return PredictedMap(shares, pixels)

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        """Return the classes and their shares of the pixels, the largest first."""
        return _shares(np.asarray(prediction))

    def truth(self, labels: Labels, index: int) -> str:
        mask = np.asarray(labels[index])
        return _shares(mask[mask != self.ignore])


def pixel_counts(prediction: Array, truth: NDArray[np.int64], ignore: int) -> NDArray[np.int64]:
    """Count the pixels in the intersection and in the union of each class, (classes, 2).

    A prediction (h, w) of another size is read at the nearest pixel. What the mask ignores counts
    neither way. Raises SamplesError for a class below 0 or above MOST.

    >>> pixel_counts(np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 255]]), 255).tolist()
    [[1, 2], [1, 2]]
    """
    if prediction.shape != truth.shape:
        height, width = truth.shape
        scale = (height / prediction.shape[0], width / prediction.shape[1])
        prediction = ImagePlacement(scale, (0, 0), (height, width)).mask(prediction)
    labelled = truth != ignore
    a, b = prediction[labelled].astype(np.int64), truth[labelled]
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
    """Return (R,) from intersections and unions side by side, (R, 2 classes); NaN for none."""
    ious = _class_ious(sums)
    counts = np.isfinite(ious).sum(axis=1)
    means: Scores = np.nansum(ious, axis=1) / np.where(counts > 0, counts, np.nan)
    return means


def _class_ious(sums: Scores) -> Scores:
    intersections, unions = np.split(sums, 2, axis=-1)
    ious: Scores = intersections / np.where(unions > 0, unions, np.nan)
    return ious


def _shares(classes: Array) -> str:
    values, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts)[:3]
    return ", ".join(
        f"{values[index]}: {counts[index] / max(classes.size, 1):.0%}" for index in order
    )


METRICS: MetricTable = {"miou": MeanIou()}
