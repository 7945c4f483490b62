"""What a program for a board is made from: all of it stands in the manifest of the ``.rknn``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ...core.results.layer_rows import FeedInput, FeedOutput
from ...core.results.reading import Reading, Task
from .decoding import head_plan
from .head_plan import HeadPlan

_SPACE = " "
_MOST_SEGMENTS = 256  # a byte a pixel


@dataclass(frozen=True)
class TextPlan:
    """The shape of a recogniser's scores: steps and classes, and which of them comes first."""

    steps: int
    labels: tuple[str, ...]
    blank: int
    steps_first: bool


@dataclass(frozen=True)
class SegmentPlan:
    """A map of so many ``rows`` and ``columns``, by what its output (of an index) holds.

    That is a score a class, the logit of one class against the other, or the class itself.
    """

    output: int
    form: Literal["scores", "logit", "indices"]
    classes: int
    rows: int
    columns: int


@dataclass(frozen=True)
class LinePlan:
    """The output that is a map of probabilities of text, of so many ``rows`` and ``columns``."""

    output: int
    rows: int
    columns: int


@dataclass(frozen=True)
class BoardProgram:
    """One ``.rknn`` called ``stem`` for a chip with so many ``cores``, and how it is used.

    ``classes`` are the names of the model's classes, or the characters of a recogniser.
    """

    stem: str
    target: str
    cores: int
    inputs: tuple[FeedInput, ...]
    outputs: tuple[FeedOutput, ...]
    classes: tuple[str, ...]
    reading: Reading

    @property
    def shown_name(self) -> str:
        """Return the name of the ``.rknn`` as comments of any language may hold it."""
        return f"{re.sub(r'[^0-9A-Za-z_.+-]', '_', self.stem)}.rknn"

    @property
    def takes_pictures(self) -> bool:
        """Whether the one input is pixels, so that mean and std are inside."""
        return len(self.inputs) == 1 and self.inputs[0].layout == "NHWC"

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the input of pixels."""
        return self.inputs[0].shape[1], self.inputs[0].shape[2]

    @cached_property
    def boxes(self) -> HeadPlan | None:
        """How boxes are decoded, None where the outputs hold none that are understood."""
        if self.reading.task not in ("boxes", "poses") or not self.takes_pictures:
            return None
        shapes = [output.shape for output in self.outputs]
        return head_plan(self.reading, shapes, self.size, len(self.classes))

    @cached_property
    def text(self) -> TextPlan | None:
        """How a text is read, None where the outputs hold none that fits the characters."""
        if self.reading.task != "text" or not self.takes_pictures:
            return None
        shape = self.outputs[self.reading.outputs[0]].shape
        lengths = tuple(length for length in shape[1:] if length != 1)
        if shape[:1] != (1,) or len(lengths) != 2:
            return None
        axis = next((i for i in (1, 0) if lengths[i] - len(self.classes) in (1, 2)), None)
        if axis is None:
            return None
        spaces = (_SPACE,) * (lengths[axis] - len(self.classes) - 1)
        names, first = (*self.classes, *spaces), self.reading.blank == "first"
        labels = ("", *names) if first else (*names, "")
        return TextPlan(lengths[1 - axis], labels, 0 if first else len(names), axis == 1)

    @cached_property
    def segments(self) -> SegmentPlan | None:
        """How a class is found for each cell of a map, None where the outputs hold none."""
        if self.reading.task != "segments" or not self.takes_pictures:
            return None
        index = self.reading.outputs[0]
        output = self.outputs[index]
        if output.shape[:1] != (1,) or len(output.shape) not in (3, 4):
            return None
        rows, columns = output.shape[-2:]
        channels = output.shape[1] if len(output.shape) == 4 else 1
        if channels > _MOST_SEGMENTS:
            return None
        if channels > 1:
            return SegmentPlan(index, "scores", channels, rows, columns)
        is_index = len(output.shape) == 3 or (output.scale is None and "int" in output.dtype)
        return SegmentPlan(index, "indices" if is_index else "logit", 2, rows, columns)

    @cached_property
    def lines(self) -> LinePlan | None:
        """How boxes of text are found, None where the outputs hold no map of them."""
        if self.reading.task != "lines" or not self.takes_pictures:
            return None
        index = self.reading.outputs[0]
        shape = self.outputs[index].shape
        if shape[:1] != (1,) or len(shape) not in (3, 4):
            return None
        rows, columns = shape[1:3] if shape[-1] == 1 else shape[-2:]
        return LinePlan(index, rows, columns)

    @property
    def draws_boxes(self) -> bool:
        """Whether what the program finds are boxes of any kind."""
        return self.boxes is not None or self.lines is not None

    @property
    def task(self) -> Task:
        """What the program does with the outputs: what was asked for, where it can."""
        if self.boxes is not None:
            return self.reading.task
        if self.text is not None:
            return "text"
        if self.segments is not None:
            return "segments"
        if self.lines is not None:
            return "lines"
        is_classifier = self.reading.task == "classes" and self.takes_pictures
        return "classes" if is_classifier else "values"

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the name of each class that the program tells, without what would break a line."""
        if self.task == "values":
            return ()
        if self.lines is not None:
            return ("text",)
        labels = self.text.labels if self.text is not None else self.classes
        return tuple(label.replace("\n", " ").replace("\r", " ") for label in labels)
