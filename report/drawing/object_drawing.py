"""Objects: boxes, rotated or not, with class and score, their masks, and skeletons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.results.differences import ObjectPair
from ...core.results.predictions import Point, PredictedObject
from .canvas import Canvas
from .palette import LOST, NEW, Colour, class_colour

# COCO's 17: head, arms, trunk, legs
_SKELETON = (
    *((0, 1), (0, 2), (1, 3), (2, 4)),
    *((5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 6), (5, 11), (6, 12), (11, 12)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
)
_PERSON = 17


@dataclass(frozen=True)
class MarkedObject:
    """An object to draw, with a word before and after its name, and its colour if not its class's.

    A ``dashed`` one is not there any more.
    """

    seen: PredictedObject
    before: str = ""
    after: str = ""
    colour: Colour | None = None
    dashed: bool = False


def draw_objects(canvas: Canvas, objects: Iterable[MarkedObject]) -> None:
    """Draw the best above the others."""
    ordered = list(objects)[::-1]
    for marked in ordered:
        if marked.seen.mask is not None and not marked.dashed:
            canvas.shade(marked.seen.mask, _colour(marked))
    for marked in ordered:
        canvas.outline(_corners(marked.seen), _colour(marked), dashed=marked.dashed)
        _draw_keypoints(canvas, marked.seen.keypoints, _colour(marked))
    for marked in ordered:
        seen = marked.seen
        text = f"{marked.before}{seen.name} {seen.score:.2f}{marked.after}"
        canvas.label(_corners(seen)[0], text, _colour(marked))


def before_objects(pairs: Sequence[ObjectPair], least: float) -> list[MarkedObject]:
    """Return the objects of the first model, those that the second loses dashed."""
    shown = [pair for pair in pairs if pair.before is not None and pair.before.score >= least]
    return [_before(pair, pair.before) for pair in shown if pair.before is not None]


def after_objects(pairs: Sequence[ObjectPair]) -> list[MarkedObject]:
    """Return the objects of the second model, and dashed those that it loses."""
    marked = []
    for pair in pairs:
        if pair.fate == "lost" and pair.before is not None:
            marked.append(_before(pair, pair.before))
        elif pair.after is not None:
            marked.append(_after(pair, pair.after))
    return marked


def _before(pair: ObjectPair, seen: PredictedObject) -> MarkedObject:
    if pair.fate != "lost":
        return MarkedObject(seen)
    rest = f", now {pair.after.score:.2f}" if pair.after is not None else ""
    return MarkedObject(seen, "lost: ", rest, LOST, dashed=True)


def _after(pair: ObjectPair, seen: PredictedObject) -> MarkedObject:
    if pair.fate == "new":
        return MarkedObject(seen, "new: ", colour=NEW)
    if pair.fate == "renamed" and pair.before is not None:
        return MarkedObject(seen, f"was {pair.before.name}: ", colour=NEW)
    moved = pair.fate == "moved" and pair.overlap is not None
    return MarkedObject(seen, after=f", IoU {pair.overlap:.2f}" if moved else "")


def _colour(marked: MarkedObject) -> Colour:
    return marked.colour or class_colour(marked.seen.index)


def _corners(seen: PredictedObject) -> Sequence[Point]:
    if seen.outline:
        return seen.outline
    left, top, right, bottom = seen.box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _draw_keypoints(canvas: Canvas, points: Sequence[Point], colour: Colour) -> None:
    """Draw the points, of a person with the limbs between them."""
    for start, end in _SKELETON if len(points) == _PERSON else ():
        canvas.stroke(points[start], points[end], colour)
    for point in points:
        canvas.dot(point, colour)
