"""Where in a detector's outputs boxes and scores stand, so that programs need not look for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...core.types import Shape

Kind = Literal["rows", "distances", "anchors", "yolox", "retinaface", "scrfd"]
Relative = Literal["auto", "pixels", "relative"]
# an output, and the first of its channels that counts
Place = tuple[int, int]
# stride in pixels, cells in a row, rows of cells
Grid = tuple[int, int, int]

BOX = 4  # numbers of a box


@dataclass(frozen=True)
class Table:
    """An output as a table of cells with channels; ``planar`` has all cells of a channel first."""

    cells: int
    channels: int
    planar: bool
    columns: int | None = None  # of a map


@dataclass(frozen=True)
class HeadScale:
    """One scale: its cells, and where boxes, scores and objectness stand in the outputs.

    ``start`` is the first row of the scale where all scales are in one output, ``points`` where the
    keypoints of a pose stand.
    """

    stride: int
    columns: int
    rows: int
    boxes: Place
    scores: Place
    objectness: Place | None = None
    start: int = 0
    points: Place | None = None
    anchors: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class HeadPlan:
    """How boxes are decoded.

    ``bins`` are those of a distance, ``each`` the boxes of a cell. Of rows (``kind``),
    ``centred`` says that they are centre and sides, ``has_class`` that a score has its class
    beside it, and ``relative`` what they are in. A pose has ``points`` of ``point_numbers`` each.
    """

    kind: Kind
    classes: int
    scales: tuple[HeadScale, ...]
    tables: Mapping[int, Table] = field(default_factory=dict)
    bins: int = 1
    each: int = 1
    centred: bool = False
    has_class: bool = False
    relative: Relative = "pixels"
    points: int = 0
    point_numbers: int = 0


def table_of(shape: Shape) -> Table:
    """Return an output as a table; of rows the longer axis is that of the cells."""
    if len(shape) == 5:  # three anchors, each with its channels last
        return Table(shape[1] * shape[2] * shape[3], shape[4], planar=False, columns=shape[3])
    if len(shape) == 4:
        return Table(shape[2] * shape[3], shape[1], planar=True, columns=shape[3])
    return Table(shape[1], shape[2], planar=False)
