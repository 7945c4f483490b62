"""All heads of detectors by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from ...calibration_data.images.geometry import Size
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.types import Array
from .detector_heads import ANCHORS, YOLO_HEADS, Anchors, ScoredBoxes, head_of, yolov5_boxes
from .face_heads import retinaface_boxes, scrfd_boxes
from .grid_heads import distributed_boxes, yolox_boxes

Head = Literal[
    "auto", "yolov5", "yolov8", "end2end", "boxes-scores", "yolox", "yolov6", "pp-yoloe", "picodet",
    "retinaface", "scrfd", "rtdetr",
]  # fmt: skip
_HEADS: Mapping[str, Callable[[Sequence[Array], Size], Iterator[ScoredBoxes]]] = {
    **YOLO_HEADS,
    "yolox": yolox_boxes,
    "yolov6": partial(distributed_boxes, bins=(17, 1)),
    "pp-yoloe": partial(distributed_boxes, bins=(17,)),
    "picodet": partial(distributed_boxes, bins=(8,)),
    "retinaface": retinaface_boxes,
    "scrfd": scrfd_boxes,
}
HEADS = ("auto", *_HEADS)


def decode_boxes(
    outputs: Sequence[Array], head: Head, size: Size, anchors: Anchors = ANCHORS
) -> Iterator[ScoredBoxes]:
    """Give corners and scores of each sample. Raises SamplesError for outputs that fit no head."""
    name = head_of(outputs) if head == "auto" else head
    return yolov5_boxes(outputs, size, anchors) if name == "yolov5" else _HEADS[name](outputs, size)


def parse_anchors(text: str) -> Anchors:
    """Return anchors from widths and heights, three a scale, the finest scale first.

    "" stands for YOLOv5's. Raises OptionError.

    >>> parse_anchors("1,2, 3,4, 5,6")
    [[(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]]
    """
    if not text:
        return ANCHORS
    with suppress(ValueError):
        values = [float(word) for word in text.split(",")]
        if len(values) % 6 == 0 and min(values) > 0:
            pairs = list(zip(values[::2], values[1::2], strict=True))
            return [pairs[start : start + 3] for start in range(0, len(pairs), 3)]
    raise OptionError(
        f"{option('metric-option', {'anchors': text})}: not three widths and heights a scale",
        "give numbers such as 10,13,16,30,33,23 for each scale, the finest first",
    )
