"""Detectors whose outputs are decoded cell by cell of a few scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.results.reading import Reading
from .head_plan import BOX, Grid, HeadPlan, HeadScale, Place, Table

Size = tuple[int, int]

# numbers of bins that the distance to a side may have, by head
_BINS: Mapping[str, tuple[int, ...]] = {
    **{"yolov8": (16, 1), "yolov6": (17, 1), "pp-yoloe": (17,), "picodet": (8,)}
}
_STRIDES = (8, 16, 32, 64, 128)
# sides of RetinaFace's two square priors of a cell, at each stride
_PRIORS = ((16, 32), (64, 128), (256, 512))


def _groups(tables: Mapping[int, Table]) -> list[list[int]]:
    """Return the outputs of each scale, in the order in which the scales come."""
    groups: dict[tuple[int, int | None], list[int]] = {}
    for index, table in tables.items():
        groups.setdefault((table.cells, table.columns), []).append(index)
    return list(groups.values())


def _grid(table: Table, size: Size, each: int = 1, *, whole: bool = False) -> Grid | None:
    """Return stride, columns and rows of the cells of a scale; None where no stride fits.

    With ``whole`` no cell may be cut off at the sides.
    """
    for stride in _STRIDES:
        rows, columns = (-(-length // stride) for length in size)
        if whole and (size[0] % stride or size[1] % stride):
            continue
        if rows * columns * each == table.cells and table.columns in (None, columns):
            return stride, columns, rows
    return None


def distances(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan distances to the sides, or distributions of them, and classes, apart or joined."""
    widths = [BOX * bins for bins in _BINS[reading.head]]
    scales: list[HeadScale] = []
    forms: set[tuple[int, int]] = set()
    for group in _groups(tables):
        grid = _grid(tables[group[0]], size, whole=reading.head == "yolov8")
        parts = _parts_of(group, tables, widths, classes_first=reading.head != "yolov8")
        if grid is None or parts is None:
            return None
        boxes, scores, width, count = parts
        forms.add((width, count))
        scales.append(HeadScale(*grid, boxes, scores))
    if len(forms) != 1:
        return None
    ((width, count),) = forms
    return HeadPlan("distances", count, tuple(scales), tables, bins=width // BOX)


def _parts_of(
    group: Sequence[int],
    tables: Mapping[int, Table],
    widths: Sequence[int],
    *,
    classes_first: bool,
) -> tuple[Place, Place, int, int] | None:
    """Return the places of sides and classes of a scale, and how many channels each has."""
    if len(group) == 1:
        index, channels = group[0], tables[group[0]].channels
        width = widths[0] if classes_first or channels > widths[0] else widths[-1]
        count = channels - width
        places = ((index, count), (index, 0)) if classes_first else ((index, 0), (index, width))
        return (*places, width, count) if count > 0 else None
    sides = next((index for index in group if tables[index].channels in widths), None)
    if sides is None:
        return None
    rest = [index for index in group if index != sides]
    classes = max(rest, key=lambda index: tables[index].channels)
    return (sides, 0), (classes, 0), tables[sides].channels, tables[classes].channels


def anchored(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan maps with three anchors a cell, each with box, objectness and classes."""
    anchors = reading.anchors
    order = sorted(tables, key=lambda index: -tables[index].cells)
    if len(order) != len(anchors):
        return None
    scales = []
    for index, own in zip(order, anchors, strict=True):
        table = tables[index]
        grid = _grid(table, size, 1 if table.planar else 3, whole=True)
        if grid is None or (table.planar and table.channels % 3):
            return None
        scales.append(HeadScale(*grid, (index, 0), (index, 5), (index, 4), anchors=own))
    each = {table.channels // 3 if table.planar else table.channels for table in tables.values()}
    if len(each) != 1 or min(each) < 6 or len({table.planar for table in tables.values()}) > 1:
        return None
    return HeadPlan("anchors", each.pop() - 5, tuple(scales), tables, each=3)


def yolox(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan boxes, objectness and classes of each cell: in one output, or maps of each scale."""
    grids = [(stride, -(-size[1] // stride), -(-size[0] // stride)) for stride in _STRIDES[:3]]
    counts = [columns * rows for _, columns, rows in grids]
    if len(tables) == 1:
        ((index, table),) = tables.items()
        if table.planar or table.cells != sum(counts):
            return None
        places = [((index, 0), (index, 5), (index, 4)) for _ in grids]
        starts = [sum(counts[:place]) for place in range(len(counts))]
        return _of_cells(tables, grids, places, starts, table.channels - 5)
    groups = sorted(_groups(tables), key=lambda group: -tables[group[0]].cells)
    if [tables[group[0]].cells for group in groups] != counts:
        return None
    scales = [scale for group in groups if (scale := _boxes_first(group, tables)) is not None]
    if len(scales) < len(groups):
        return None
    numbers = {count for _, count in scales}
    if len(numbers) != 1:
        return None
    return _of_cells(tables, grids, [places for places, _ in scales], [0] * 3, numbers.pop())


def _boxes_first(
    group: Sequence[int], tables: Mapping[int, Table]
) -> tuple[tuple[Place, Place, Place], int] | None:
    """Return the places of boxes, classes and objectness of a scale, and how many classes."""
    if len(group) == 1:
        index = group[0]
        return ((index, 0), (index, 5), (index, 4)), tables[index].channels - 5
    boxes = next((index for index in group if tables[index].channels == BOX), group[0])
    rest = [index for index in group if index != boxes]
    order = sorted(rest, key=lambda index: tables[index].channels != 1)
    if len(order) != 2 or tables[boxes].channels != BOX:
        return None
    return ((boxes, 0), (order[1], 0), (order[0], 0)), tables[order[1]].channels


def _of_cells(
    tables: Mapping[int, Table],
    grids: Sequence[Grid],
    places: Sequence[tuple[Place, Place, Place]],
    starts: Sequence[int],
    classes: int,
) -> HeadPlan | None:
    scales = tuple(
        HeadScale(*grid, *place, start)
        for grid, place, start in zip(grids, places, starts, strict=True)
    )
    return HeadPlan("yolox", classes, scales, tables) if classes > 0 else None


def retinaface(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan boxes and pairs of no face and face against two square priors a cell."""
    boxes, pairs = _faces(tables, BOX), _faces(tables, 2)
    grids = [(stride, -(-size[1] // stride), -(-size[0] // stride)) for stride in _STRIDES[:3]]
    counts = [2 * columns * rows for _, columns, rows in grids]
    if not boxes or not pairs or len(boxes) != len(pairs):
        return None
    joined = len(boxes) == 1
    expected = [sum(counts)] if joined else [count // 2 for count in counts]
    if any([tables[index].cells for index in part] != expected for part in (boxes, pairs)):
        return None
    scales = []
    for place, (grid, sides) in enumerate(zip(grids, _PRIORS, strict=True)):
        at = 0 if joined else place
        start = sum(counts[:place]) if joined else 0
        priors = tuple((float(side), float(side)) for side in sides)
        scales.append(HeadScale(*grid, (boxes[at], 0), (pairs[at], 0), start=start, anchors=priors))
    return HeadPlan("retinaface", 1, tuple(scales), tables, each=2)


def _faces(tables: Mapping[int, Table], channels: int) -> list[int]:
    """Return the output of rows with so many channels, or the maps with twice as many."""
    for index, table in tables.items():
        if table.columns is None and table.channels == channels:
            return [index]
    maps = [index for index, table in tables.items() if table.columns is not None]
    twice = [index for index in maps if tables[index].channels == 2 * channels]
    return sorted(twice, key=lambda index: -tables[index].cells)


def scrfd(
    reading: Reading, tables: Mapping[int, Table], size: Size, classes: int
) -> HeadPlan | None:
    """Plan scores and distances from each cell's upper left corner, one or two boxes a cell."""
    boxes = {table.cells: index for index, table in tables.items() if table.channels == BOX}
    scores = {table.cells: index for index, table in tables.items() if table.channels == 1}
    if not boxes or boxes.keys() != scores.keys():
        return None
    for each in (1, 2):
        grids = [_grid(tables[index], size, each) for index in boxes.values()]
        scales = tuple(
            HeadScale(*grid, (index, 0), (scores[count], 0))
            for grid, (count, index) in zip(grids, boxes.items(), strict=True)
            if grid is not None
        )
        if len(scales) == len(boxes):
            return HeadPlan("scrfd", 1, scales, tables, each=each)
    return None
