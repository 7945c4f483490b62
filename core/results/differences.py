"""What differs between the predictions of two models for one sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .predictions import PredictedObject

ObjectFate: TypeAlias = Literal["same", "moved", "renamed", "lost", "new"]


@dataclass(frozen=True)
class ObjectPair:
    """An object of the first model, of the second, or of both, and what became of it.

    ``overlap`` is the IoU of both: of their masks or rotated boxes where they have some. Of a lost
    one ``after`` is what is left of it below the least score, of a new one ``before``.
    """

    fate: ObjectFate
    before: PredictedObject | None
    after: PredictedObject | None
    overlap: float | None = None


@dataclass(frozen=True)
class Difference:
    """Whether two predictions differ in what a user sees, in a few words, and how much.

    ``likeness`` is 1 for equal ones, as its ``measure`` counts: the F1 of the objects, the
    characters that are the same, mean IoU, frames on one side of the threshold, the cosine.
    """

    differs: bool
    text: str
    measure: str
    likeness: float
    objects: tuple[ObjectPair, ...] = ()
