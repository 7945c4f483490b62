"""What was taken from the family that a model is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# what the model says of itself, what its graph is like, the family that was named, or none for sure
Source = Literal["metadata", "form", "name", "guess"]


@dataclass(frozen=True)
class TakenOption:
    """An option that nobody gave, its plain value, and where that was taken from."""

    option: str
    value: object
    source: Source


@dataclass(frozen=True)
class FamilyFigure:
    """The family that a model was recognised to be of, and the options taken from it.

    ``cut`` are the options that end the model before its own decoding, by their names, where it
    has any and goes on having it.
    """

    name: str
    taken: tuple[TakenOption, ...] = ()
    cut: Mapping[str, object] = field(default_factory=dict)
