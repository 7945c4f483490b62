"""Pose: COCO's average precision of keypoints, by object keypoint similarity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...calibration_data.images.geometry import Size
from ...calibration_data.sources.boxes import FILLED, Boxes, make_boxes
from ...calibration_data.sources.labels import Kind
from ...core.errors import SamplesError
from ...core.types import Array, Float64
from .average_precision import Flags, Matching
from .detections import Detections, select_anchors
from .detector_heads import side_corners
from .measurement import Scores
from .metric import MetricTable, Outputs
from .object_metric import ObjectMetric
from .shaped_heads import (
    SHAPED_HEADS,
    ShapedHead,
    cells_of,
    decode_shaped,
    flat_extras,
    selects_itself,
)

# of COCO's 17: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles
_COCO_SIGMAS = np.repeat(
    [0.026, 0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089], [1] + [2] * 8
)
_MOST = 20  # persons of an image that COCO counts


@dataclass(frozen=True, eq=False)
class Poses(Detections):
    """Detections with the places of their keypoints, (M, K, 2)."""

    keypoints: Float64


@dataclass(frozen=True)
class PosePrecision(ObjectMetric):
    """COCO's AP over OKS 0.5 to 0.95 (``pose``), or at 0.5 (``pose50``).

    Source: COCO, keypoint evaluation (cocodataset.org), 2016; for other than 17 keypoints all
    sigmas are 1 / K, as Ultralytics has it.
    """

    head: ShapedHead = field(
        default="auto", metadata={"help": "the model's head", "choices": SHAPED_HEADS}
    )
    keypoints: int = field(
        default=0, metadata={"help": "how many each object has; by default for one class"}
    )
    numbers: int = field(
        default=0, metadata={"help": "of each keypoint: 3 with its visibility, or 2"}
    )
    kind: ClassVar[Kind | None] = "keypoints"

    @property
    def matching(self) -> Matching:
        return _BY_KEYPOINTS

    def predict(self, outputs: Outputs) -> list[Poses]:
        """Decode poses. Raises SamplesError for outputs that hold no such number of keypoints."""
        arrays = [np.asarray(output) for output in outputs]
        extras, each = self.extras_of(arrays)
        overlap = None if self.head == "end2end" else self.overlap

        def scale(sides: Array, planes: Array, size: Size) -> tuple[Array, Array]:
            return side_corners(sides, size), _places(sides, planes, size, each)

        poses = []
        for corners, scores, rows in decode_shaped(arrays, extras, self.head, self.size, scale):
            anchors, boxes = select_anchors(corners, scores, self.score, overlap)
            places = rows[anchors].reshape(len(anchors), extras // each, each)[..., :2]
            poses.append(Poses(**vars(boxes), keypoints=places))
        return poses

    def extras_of(self, outputs: list[Array]) -> tuple[int, int]:
        """Return how many numbers the keypoints of an anchor have, and each of them: 3 or 2.

        Raises SamplesError for outputs that hold no such number of keypoints.
        """
        channels = [output.shape[1] for output in outputs]
        if len(outputs) > 1:
            # sides, one class and keypoints; the keypoints stand last
            extras = channels[-1]
        elif selects_itself(outputs[0], 0):
            extras = outputs[0].shape[2] - 6
        else:
            extras = min(outputs[0].shape[1:]) - 5
        sizes = [each for each in (3, 2) if self.numbers in (0, each)]
        if self.keypoints:
            sizes = [each for each in sizes if self.keypoints * each <= extras]
            extras = self.keypoints * sizes[0] if sizes else 0
        each = next((each for each in sizes if extras >= each and extras % each == 0), 0)
        if not each:
            raise SamplesError(
                f"outputs of {', '.join(map(str, channels))} channels hold no keypoints",
                "name how many each object has with the metric's option keypoints",
            )
        return extras, each

    def _has_labels(self, truth: Boxes) -> bool:
        return truth.keypoints is not None

    def _form(self, detections: Poses, index: int) -> dict[str, Any]:
        return {"keypoints": tuple(map(tuple, detections.keypoints[index].tolist()))}

    def _labelled(self, detections: Poses) -> Boxes:
        boxes = make_boxes(detections.corners, detections.classes)
        visible = np.ones((*detections.keypoints.shape[:2], 1))
        keypoints = np.concatenate([detections.keypoints, visible], axis=2)
        return make_boxes(
            boxes.corners, boxes.classes, areas=boxes.areas * FILLED, keypoints=keypoints
        )


def _places(sides: Array, planes: Array, size: Size, each: int) -> Array:
    """Return keypoints (H W, K each) in pixels from raw maps (K each, H, W) of one scale.

    A model that learns no bins of sides (YOLO26) gives distances from the cell's middle, the
    others half of those from its corner.
    """
    middles, stride = cells_of(planes, size)
    rows = flat_extras(planes)
    points = rows.reshape(len(rows), -1, each)
    binned = sides.shape[0] > 4
    moved = 2 * points[..., :2] - 0.5 if binned else points[..., :2]
    points[..., :2] = (moved + middles[:, np.newaxis]) * stride
    return rows


def similarities(detections: Poses, truth: Boxes) -> Scores:
    """Return OKS (M, G) of poses and labelled objects; without a labelled keypoint, by the box.

    Source: COCO, keypoint evaluation: the mean over labelled keypoints of exp(-d^2 / (8 area
    sigma^2)); of none, d is how far a point lies outside of twice the box.
    """
    assert truth.keypoints is not None
    count = truth.keypoints.shape[1]
    sigmas = _COCO_SIGMAS if count == len(_COCO_SIGMAS) else np.full(count, 1 / count)
    if detections.keypoints.shape[1] != count:
        raise SamplesError(
            f"the labels have {count} keypoints, but the model {detections.keypoints.shape[1]}",
            "give labels of the model's keypoints, or set the metric's option keypoints",
        )
    columns = []
    for points, corners, area in zip(truth.keypoints, truth.corners, truth.areas, strict=True):
        labelled = points[:, 2] > 0
        distances = detections.keypoints - points[:, :2]
        if not labelled.any():
            sides = corners[2:] - corners[:2]
            low, high = corners[:2] - sides, corners[2:] + sides
            places = detections.keypoints
            distances = np.maximum(low - places, 0) + np.maximum(places - high, 0)
            labelled = ~labelled
        errors = (distances**2).sum(axis=2) / (8 * sigmas**2 * (area + np.spacing(1)))
        columns.append(np.exp(-errors[:, labelled]).mean(axis=1))
    return np.stack(columns, axis=1)


def _without_keypoints(truth: Boxes) -> Flags:
    """Tell which objects are of a crowd or have no labelled keypoint, (G,)."""
    assert truth.keypoints is not None
    flags: Flags = truth.crowd | ~(truth.keypoints[..., 2] > 0).any(axis=1)
    return flags


def _overlaps(detections: Any, truth: Boxes) -> Scores:
    return similarities(detections, truth)


_BY_KEYPOINTS = Matching(_overlaps, _without_keypoints, _MOST)

METRICS: MetricTable = {"pose": PosePrecision("pose"), "pose50": PosePrecision("pose50")}
