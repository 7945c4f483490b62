"""How the boxes of a detector are decoded, by the name of its head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core.results.reading import Reading
from ...core.types import Shape
from .cell_heads import anchored, distances, retinaface, scrfd, yolox
from .head_plan import HeadPlan, Table, table_of
from .pose_heads import pose_plan
from .row_heads import Size, boxes_and_scores, end2end_rows, own_rows, rtdetr_rows

Planner = Callable[[Reading, Mapping[int, Table], Size, int], HeadPlan | None]

_PLANNERS: Mapping[str, Planner] = {
    "yolov5": anchored,
    **dict.fromkeys(("yolov8", "yolov6", "pp-yoloe", "picodet"), distances),
    "end2end": end2end_rows,
    "rtdetr": rtdetr_rows,
    "boxes-scores": boxes_and_scores,
    "yolox": yolox,
    "retinaface": retinaface,
    "scrfd": scrfd,
}


def head_plan(
    reading: Reading, shapes: Sequence[Shape], size: Size, classes: int
) -> HeadPlan | None:
    """Return how boxes are decoded from outputs of these shapes; None where that is not known.

    ``size`` is the height and width of the input, ``classes`` how many names the model's classes
    have, 0 where there are none.
    """
    read = [shapes[index] for index in reading.outputs]
    if reading.head not in _PLANNERS or any(_is_no_table(shape) for shape in read):
        return None
    tables = {index: table_of(shapes[index]) for index in reading.outputs}
    if reading.task == "poses":
        return pose_plan(reading, tables, size, classes)
    if reading.head in ("yolov5", "yolov8") and len(read) == 1 and len(read[0]) == 3:
        return own_rows(reading, tables)
    return _PLANNERS[reading.head](reading, tables, size, classes)


def _is_no_table(shape: Shape) -> bool:
    return not 3 <= len(shape) <= 5 or shape[0] != 1
