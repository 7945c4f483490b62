"""What a model says of one sample, in the terms of its task: plain values that can be drawn.

Places are x and y in pixels, of the model's input or of the picture that became it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from ..types import Array, Shape

Point: TypeAlias = tuple[float, float]
# left, top, right, bottom
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class NamedClass:
    """A class by its index and its name."""

    index: int
    name: str


@dataclass(frozen=True)
class ScoredClass(NamedClass):
    """A class with its score, which is a probability where the model's outputs allow one."""

    score: float


@dataclass(frozen=True)
class PredictedClasses:
    """Classes of a whole sample, the best first."""

    task: ClassVar[str] = "classes"
    classes: tuple[ScoredClass, ...]


@dataclass(frozen=True)
class PredictedObject(ScoredClass):
    """An object with the box around it.

    ``outline`` are the corners of a rotated box, ``mask`` (H, W) the pixels of the picture that
    belong to it, None where the model gives none.
    """

    box: Box
    outline: tuple[Point, ...] = ()
    keypoints: tuple[Point, ...] = ()
    mask: Array | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class PredictedObjects:
    """Objects in an image, the best first."""

    task: ClassVar[str] = "objects"
    objects: tuple[PredictedObject, ...]

    def above(self, score: float) -> PredictedObjects:
        """Return those with at least this score."""
        return PredictedObjects(tuple(each for each in self.objects if each.score >= score))


@dataclass(frozen=True)
class PredictedText:
    """A line of text, and the mean probability of its characters, 0 for an empty one."""

    task: ClassVar[str] = "text"
    text: str
    confidence: float


@dataclass(frozen=True)
class ClassShare(NamedClass):
    """The part of an image's pixels that a class has."""

    share: float


@dataclass(frozen=True)
class PredictedMap:
    """A class for each pixel: the ``shares``, the largest first, and the map (H, W) itself."""

    task: ClassVar[str] = "map"
    shares: tuple[ClassShare, ...]
    pixels: Array = field(compare=False, repr=False)


@dataclass(frozen=True)
class PredictedSpeech:
    """The probability of speech in each frame, and the runs of frames that are speech.

    A segment is the first frame and the one behind the last.
    """

    task: ClassVar[str] = "speech"
    probabilities: tuple[float, ...]
    threshold: float
    segments: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PredictedNumbers:
    """The numbers of a regression, or an embedding of length 1."""

    task: ClassVar[str] = "numbers"
    values: tuple[float, ...]


@dataclass(frozen=True)
class OutputStatistics:
    """What one output holds: NaN and infinite values make ``low``, ``mean`` and ``high`` so."""

    name: str
    shape: Shape
    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class PredictedOutputs:
    """The outputs themselves, where no metric reads them: ``values`` are theirs, in order."""

    task: ClassVar[str] = "outputs"
    outputs: tuple[OutputStatistics, ...]
    values: tuple[Array, ...] = field(compare=False, repr=False)


Prediction: TypeAlias = (
    PredictedClasses
    | PredictedObjects
    | PredictedText
    | PredictedMap
    | PredictedSpeech
    | PredictedNumbers
    | PredictedOutputs
)


def class_name(index: int, names: tuple[str, ...]) -> str:
    """Return what a class is called.

    >>> class_name(1, ("cat", "dog")), class_name(7, ("cat", "dog"))
    ('dog', 'class 7')
    """
    return names[index] if 0 <= index < len(names) else f"class {index}"
