"""Instance segmentation: COCO's average precision of masks that a model makes of prototypes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.images.geometry import Size
from ...calibration_data.sources.boxes import Boxes, make_boxes
from ...calibration_data.sources.instance_shapes import (
    Encoded,
    encode,
    shape_of_segmentation,
)
from ...calibration_data.sources.labels import Kind
from ...core.diagnostics import option
from ...core.errors import SamplesError
from ...core.types import Array, Float64
from .average_precision import Matching
from .detections import Detections, select_anchors
from .detector_heads import side_corners
from .measurement import Scores
from .metric import MetricTable, Outputs
from .object_metric import ObjectMetric
from .shaped_heads import SHAPED_HEADS, ShapedHead, decode_shaped, flat_extras


@dataclass(frozen=True, eq=False)
class InstanceMasks(Detections):
    """Detections with their masks (M,), each encoded."""

    masks: NDArray[np.object_]


@dataclass(frozen=True)
class MaskPrecision(ObjectMetric):
    """COCO's AP over the IoU of masks 0.5 to 0.95 (``mask``), or at 0.5 (``mask50``).

    Source: Bolya et al., YOLACT, ICCV 2019, section 3: a mask is the sum of prototypes, weighted by
    an anchor's coefficients and cut to its box.
    """

    head: ShapedHead = field(
        default="auto", metadata={"help": "the model's head", "choices": SHAPED_HEADS}
    )
    kind: ClassVar[Kind | None] = "instance-masks"

    @property
    def matching(self) -> Matching:
        return Matching(self._overlaps)

    def predict(self, outputs: Outputs) -> list[InstanceMasks]:
        """Decode masks. Raises SamplesError where no output holds prototypes."""
        arrays = [np.asarray(output) for output in outputs]
        place = _prototypes_in(arrays)
        prototypes = arrays.pop(place)
        overlap = None if self.head == "end2end" else self.overlap
        decoded = decode_shaped(arrays, prototypes.shape[1], self.head, self.size, _of_scale)
        images = []
        for planes, (corners, scores, rows) in zip(prototypes, decoded, strict=True):
            anchors, boxes = select_anchors(corners, scores, self.score, overlap)
            masks = _masks(rows[anchors], planes, boxes.corners, self.size)
            images.append(InstanceMasks(**vars(boxes), masks=masks))
        return images

    def _overlaps(self, detections: InstanceMasks, truth: Boxes) -> Scores:
        from faster_coco_eval import mask

        assert truth.shapes is not None
        labelled = [shape.encoded(self.size) for shape in truth.shapes]
        crowd = truth.crowd.astype(np.uint8).tolist()
        table = np.asarray(mask.iou(list(detections.masks), labelled, crowd), np.float64)
        # of no detections it gives no second axis
        return table.reshape(len(detections), len(truth))

    def _has_labels(self, truth: Boxes) -> bool:
        return truth.shapes is not None

    def _form(self, detections: InstanceMasks, index: int) -> dict[str, Any]:
        from faster_coco_eval import mask

        return {"mask": np.asarray(mask.decode(detections.masks[index]), bool)}

    def _labelled(self, detections: InstanceMasks) -> Boxes:
        shapes = tuple(shape_of_segmentation(_as_text(mask)) for mask in detections.masks)
        return make_boxes(detections.corners, detections.classes, shapes=shapes)


def _prototypes_in(outputs: list[Array]) -> int:
    """Return which output is the prototypes (N, E, H, W): the maps of most cells."""
    maps = [index for index, output in enumerate(outputs) if output.ndim == 4]
    if not maps or len(outputs) < 2:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise SamplesError(
            f"outputs of the shapes {shapes} hold no boxes and prototypes of masks",
            f"name both with {option('metric-output')}",
        )
    return max(maps, key=lambda index: outputs[index].shape[2] * outputs[index].shape[3])


def _of_scale(sides: Array, planes: Array, size: Size) -> tuple[Array, Array]:
    return side_corners(sides, size), flat_extras(planes)


def _masks(
    coefficients: Float64, prototypes: Array, boxes: Float64, size: Size
) -> NDArray[np.object_]:
    """Return the encoded masks (M,) of an image's detections, each cut to its box (M, 4)."""
    import cv2

    planes = prototypes.astype(np.float32)
    weights = coefficients.astype(np.float32)
    sums = (weights @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])
    masks = np.empty(len(boxes), object)
    for index, (values, box) in enumerate(zip(sums, boxes, strict=True)):
        whole = cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = _within(box, size)
        mask = np.zeros(size, np.uint8)
        mask[top:bottom, left:right] = whole[top:bottom, left:right] > 0
        masks[index] = encode(mask)
    return masks


def _within(box: Float64, size: Size) -> tuple[int, int, int, int]:
    """Return the pixels of a box: those from its left and top side on, before the others."""
    limits = [size[1], size[0]] * 2
    left, top, right, bottom = np.clip(np.ceil(box), 0, limits).astype(int).tolist()
    return left, top, right, bottom


def _as_text(encoded: Encoded) -> dict[str, Any]:
    counts = encoded["counts"]
    return {**encoded, "counts": counts.decode() if isinstance(counts, bytes) else counts}


METRICS: MetricTable = {"mask": MaskPrecision("mask"), "mask50": MaskPrecision("mask50")}
