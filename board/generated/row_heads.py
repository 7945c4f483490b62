"""Detectors whose outputs are a row a box, in or out of the graph selected."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.results.reading import Reading
from .head_plan import BOX, HeadPlan, HeadScale, Place, Relative, Table

Size = tuple[int, int]


def _rows(
    tables: Mapping[int, Table],
    boxes: Place,
    scores: Place,
    classes: int,
    objectness: Place | None = None,
    *,
    centred: bool,
    relative: Relative,
    has_class: bool = False,
) -> HeadPlan | None:
    if classes < 1:
        return None
    cells = tables[boxes[0]].cells
    scale = HeadScale(1, cells, 1, boxes, scores, objectness)
    return HeadPlan(
        "rows",
        classes,
        (scale,),
        tables,
        centred=centred,
        relative=relative,
        has_class=has_class,
    )


def own_rows(reading: Reading, tables: Mapping[int, Table]) -> HeadPlan | None:
    """Plan rows of centre and sides, objectness where the head has it, and classes."""
    ((index, rows),) = tables.items()
    table = by_cells(rows)
    first = BOX + (reading.head == "yolov5")
    return _rows(
        {index: table},
        (index, 0),
        (index, first),
        table.channels - first,
        (index, BOX) if reading.head == "yolov5" else None,
        centred=True,
        relative=reading.coordinates,
    )


def end2end_rows(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan rows of corners, score and class, of a model that selects boxes itself."""
    index = reading.outputs[0]
    if tables[index].channels != 6:
        return None
    return _rows(
        tables,
        (index, 0),
        (index, BOX),
        max(1, classes),
        centred=False,
        relative=reading.coordinates,
        has_class=True,
    )


def rtdetr_rows(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan rows of centre and sides in shares of the input, and scores, or one with its class."""
    index = reading.outputs[0]
    channels = tables[index].channels
    has_class = channels == 6 and classes != 2
    count = max(1, classes) if has_class else channels - BOX
    return _rows(
        tables,
        (index, 0),
        (index, BOX),
        count,
        centred=True,
        relative="relative",
        has_class=has_class,
    )


def boxes_and_scores(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan corners as rows, or centre and sides as columns, and scores beside them."""
    first = next((index for index in reading.outputs[:2] if _has_boxes(tables[index])), None)
    if first is None or len(tables) < 2:
        return None
    second = next(index for index in reading.outputs[:2] if index != first)
    are_rows = tables[first].channels == BOX
    boxes = tables[first] if are_rows else _turned_over(tables[first])
    scores = tables[second]
    scores = scores if scores.cells == boxes.cells else _turned_over(scores)
    if scores.cells != boxes.cells:
        return None
    return _rows(
        {first: boxes, second: scores},
        (first, 0),
        (second, 0),
        scores.channels,
        centred=not are_rows,
        relative=reading.coordinates,
    )


def _has_boxes(table: Table) -> bool:
    return BOX in (table.cells, table.channels) and table.columns is None


def _turned_over(table: Table) -> Table:
    """Return a table whose rows are the channels, as one of cells."""
    return Table(table.channels, table.cells, planar=True)


def by_cells(table: Table) -> Table:
    """Return rows with the longer axis as that of the cells."""
    if table.cells >= table.channels:
        return table
    return Table(table.channels, table.cells, planar=True)
