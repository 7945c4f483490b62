"""Which object of one model is which of another's, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.results.differences import ObjectFate, ObjectPair
from ..core.results.predictions import PredictedObject, PredictedObjects
from ..core.types import Float64
from .metrics.detections import overlaps
from .metrics.rotated_boxes import rectangle_of, rotated_overlaps

# two boxes are of one object from this IoU on; below the other it has moved
_ONE_OBJECT, _IN_PLACE = 0.5, 0.9


def paired_objects(
    first: PredictedObjects, second: PredictedObjects, least: float
) -> tuple[ObjectPair, ...]:
    """Return what became of each object of the first model, then the new ones of the second.

    Objects below the ``least`` score are there to say what is left of those that were lost. Pairs
    overlap by an IoU of at least 0.5: those of one class first, of these the most alike.
    """
    table = _overlap_table(first.objects, second.objects)
    partner = _partners(table, first.objects, second.objects)
    pairs = []
    for row, before in enumerate(first.objects):
        column = partner.get(row)
        after = None if column is None else second.objects[column]
        overlap = None if column is None else float(table[row, column])
        if fate := _fate(before, after, overlap, least):
            pairs.append(ObjectPair(fate, before, after, overlap))
    alone = [
        ObjectPair("new", None, after)
        for column, after in enumerate(second.objects)
        if column not in partner.values() and after.score >= least
    ]
    return (*pairs, *alone)


def _fate(
    before: PredictedObject, after: PredictedObject | None, overlap: float | None, least: float
) -> ObjectFate | None:
    """Return what became of an object; None where neither model shows it."""
    was, is_there = before.score >= least, after is not None and after.score >= least
    if not (was and is_there) or after is None or overlap is None:
        return "lost" if was else "new" if is_there else None
    if before.index != after.index:
        return "renamed"
    return "same" if overlap >= _IN_PLACE else "moved"


def _partners(
    table: Float64, first: Sequence[PredictedObject], second: Sequence[PredictedObject]
) -> dict[int, int]:
    """Return the place in the second for each place in the first that has a partner."""
    rows, columns = np.nonzero(table >= _ONE_OBJECT)
    places = sorted(
        zip(rows.tolist(), columns.tolist(), strict=True),
        key=lambda place: (
            first[place[0]].index != second[place[1]].index,
            -table[place],
            -second[place[1]].score,
        ),
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in places:
        if row not in partner and column not in taken:
            partner[row] = column
            taken.add(column)
    return partner


def _overlap_table(first: Sequence[PredictedObject], second: Sequence[PredictedObject]) -> Float64:
    """Return the IoU (M, G) of masks, of rotated boxes, or of upright ones."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    if all(each.outline and np.isfinite(each.outline).all() for each in (*first, *second)):
        return rotated_overlaps(*(_rectangles(objects) for objects in (first, second)))
    table = overlaps(*(np.array([each.box for each in objects]) for objects in (first, second)))
    for row, column in zip(*np.nonzero(table), strict=True):
        one, other = first[row].mask, second[column].mask
        if one is not None and other is not None:
            table[row, column] = (one & other).sum() / max(int((one | other).sum()), 1)
    return table


def _rectangles(objects: Sequence[PredictedObject]) -> Float64:
    return np.array([rectangle_of(np.array(each.outline)) for each in objects])
