"""What the model is fed: its inputs and outputs, and the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.list_kinds import Names, Values
from ...core.option_kinds import Choice, File, Whole
from ...core.options import Options, opt
from ...core.shape_kinds import InputShapes, Shapes, Size

if TYPE_CHECKING:
    from ...core.types import Shape

_MODEL_VERBS = "run prune quantize convert check predict inspect"


@dataclass(frozen=True)
class ModelOptions(Options):
    """Which part of the model is used, with which shapes."""

    heading: ClassVar[str] = "Model"

    input: Mapping[str, InputShapes] = opt(
        {},
        Shapes(),
        f"Fix the shape of an input, such as {option('input', {'x': [1, 3, 48, 320]})}. "
        "Repeatable. run and convert take several of one input, for a .rknn that takes each of "
        "them.",
        _MODEL_VERBS,
    )
    constant: Mapping[str, float] = opt(
        {},
        Values(),
        f"Make an input a constant of the model, such as {option('constant', {'sr': 16000})}. "
        "Repeatable.",
        _MODEL_VERBS,
    )
    outputs: tuple[str, ...] = opt(
        (),
        Names(repeats=True),
        "End the model at these tensors, such as before a detector's decoding. Repeatable.",
        _MODEL_VERBS,
    )
    size: tuple[int, int] | None = opt(
        None,
        Size(),
        "Height and width of the samples.",
        _MODEL_VERBS,
        default="the model's",
        heading="Preprocessing",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = {name: len(shapes) for name, shapes in self._lists.items()}
        if len(set(counts.values())) > 1:
            texts = (f"{count} of {name!r}" for name, count in counts.items())
            raise OptionError(
                f"{option('input')} has {' and '.join(texts)}, which are not as many shapes",
                "give as many of each: the first of them belong together, then the second",
            )

    @property
    def _lists(self) -> Mapping[str, tuple[Shape, ...]]:
        return {name: shapes for name, shapes in self.input.items() if isinstance(shapes[0], tuple)}

    @property
    def _sets(self) -> list[dict[str, Shape]]:
        lists = self._lists
        sets = (dict(zip(lists, shapes)) for shapes in zip(*lists.values()))  # noqa: B905
        return sorted(sets, key=lambda shapes: -sum(map(prod, shapes.values())))

    @property
    def input_sets(self) -> tuple[dict[str, Shape], ...]:
        """Return the shapes that inputs have together, the largest first; () where each has one."""
        different = {tuple(shapes.values()): shapes for shapes in self._sets}
        return tuple(different.values()) if len(different) > 1 else ()

    @property
    def largest(self) -> dict[str, Shape]:
        """Return the shape of each input that the model is made ready in and measured in."""
        return {**self.input, **next(iter(self._sets), {})}  # type: ignore[dict-item]


@dataclass(frozen=True)
class SampleOptions(Options):
    """Samples to calibrate with, and labelled ones to measure with."""

    heading: ClassVar[str] = "Samples"

    calib: Path | None = opt(
        None,
        File(suffixes=(".txt", ".csv", ".npy", ".npz")),
        "Samples to calibrate with. No labels needed: folder of images, list file, CSV, "
        ".npy or .npz.",
        "run prune quantize convert check predict",
    )
    calib_count: int = opt(
        128,
        Whole(1),
        "How many samples to calibrate with.",
        "run prune quantize convert check predict",
    )
    eval: Path | None = opt(
        None,
        File(suffixes=(".csv", ".npz", ".json")),
        "Labelled samples to measure with. Folder per class, labels.csv, .npz, COCO .json, "
        "or a folder with images/ and labels/ or masks/.",
        "run check",
    )
    eval_count: int | None = opt(
        None,
        Whole(1),
        "How many samples to measure with. They are drawn by the seed, with the shares of the "
        "classes.",
        "run check",
        default="all",
    )
    eval_part: Literal["all", "search", "held-out"] = opt(
        "all",
        Choice(("all", "search", "held-out")),
        "Which of them: those that a search with rockpress tune sees, or the third that it keeps "
        "apart for its end.",
        "run check",
    )
