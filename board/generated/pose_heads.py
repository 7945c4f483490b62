"""Heads of poses: those of boxes, with keypoints beside each box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...core.results.reading import Reading
from .cell_heads import distances
from .head_plan import BOX, HeadPlan, HeadScale, Table
from .row_heads import Size, by_cells

_SELECTED = 6  # corners, score, class


def pose_plan(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Return how poses are decoded: rows, or maps of each scale in which the points are last."""
    extras = reading.points * reading.point_numbers
    if len(tables) == 1 and all(table.columns is None for table in tables.values()):
        plan = _rows(reading, tables, extras, classes)
    else:
        plan = _maps(reading, tables, size, extras)
    return plan and replace(plan, points=reading.points, point_numbers=reading.point_numbers)


def _rows(
    reading: Reading, tables: Mapping[int, Table], extras: int, classes: int
) -> HeadPlan | None:
    ((index, rows),) = tables.items()
    selects = reading.head == "end2end"
    table = rows if selects else by_cells(rows)
    points = _SELECTED if selects else table.channels - extras
    count = max(1, classes) if selects else points - BOX
    if count < 1 or points + extras != table.channels:
        return None
    scale = HeadScale(1, table.cells, 1, (index, 0), (index, BOX), points=(index, points))
    return HeadPlan("rows", count, (scale,), {index: table}, centred=not selects, has_class=selects)


def _maps(
    reading: Reading, tables: Mapping[int, Table], size: Size, extras: int
) -> HeadPlan | None:
    """Plan the maps as those of boxes without the channels, or the maps, of points."""
    joined = {index: table for index, table in tables.items() if table.channels > BOX + extras}
    cells = [table.cells for table in tables.values()]
    if len(set(cells)) == len(cells):
        boxes = {
            index: replace(table, channels=table.channels - extras)
            for index, table in joined.items()
        }
        points = {table.cells: (index, table.channels) for index, table in boxes.items()}
    else:
        last = {t.cells: index for index, t in tables.items() if t.channels == extras}
        points = {count: (index, 0) for count, index in last.items()}
        boxes = {index: t for index, t in tables.items() if index not in last.values()}
    plan = distances(replace(reading, head="yolov8"), boxes, size, 0)
    if plan is None or len(points) != len(plan.scales):
        return None
    scales = tuple(
        replace(scale, points=points[scale.columns * scale.rows]) for scale in plan.scales
    )
    return replace(plan, scales=scales, tables=tables)
