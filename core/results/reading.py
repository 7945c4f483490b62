"""How the outputs of a model are read, for programs that run it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["classes", "boxes", "poses", "text", "lines", "segments", "values"]


@dataclass(frozen=True)
class Reading:
    """What is done with the outputs, which are those of the indices ``outputs``, in this order.

    ``task`` "values" leaves them as they are. Of boxes, ``head`` is the form in which a detector
    gives them, ``score`` the least that counts, ``overlap`` the IoU above which a worse box of the
    same class is dropped (None where the model does that), ``anchors`` width and height of each by
    scale, and ``coordinates`` what places are in. Poses are boxes with ``points``, each of so many
    ``point_numbers``, of which the first two are its place. Of texts, ``blank`` is the place of
    CTC's blank. Segments are a class for each cell of a map. Lines
    are boxes of text around what is at least ``threshold`` in a map of probabilities, larger by
    ``unclip`` times area / perimeter on every side.
    """

    task: Task = "values"
    outputs: tuple[int, ...] = ()
    head: str = ""
    score: float = 0.0
    overlap: float | None = None
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    coordinates: Literal["auto", "pixels", "relative"] = "auto"
    points: int = 0
    point_numbers: int = 0
    blank: Literal["first", "last"] = "first"
    threshold: float = 0.0
    unclip: float = 0.0
