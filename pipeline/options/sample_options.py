"""What the model is fed: its inputs and outputs, and the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.diagnostics import option
from ...core.list_kinds import Names, Shapes, Size, Values
from ...core.option_kinds import File, Whole
from ...core.options import Options, opt

_MODEL_VERBS = "run prune quantize convert check inspect"


@dataclass(frozen=True)
class ModelOptions(Options):
    """Which part of the model is used, with which shapes."""

    input: Mapping[str, tuple[int, ...]] = opt(
        {},
        Shapes(),
        f"Fix the shape of an input, such as {option('input', {'x': [1, 3, 48, 320]})}. "
        "Repeatable.",
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
        Names(),
        "End the model at these tensors, such as before a detector's decoding.",
        _MODEL_VERBS,
    )
    size: tuple[int, int] | None = opt(
        None, Size(), "Height and width of the samples.", _MODEL_VERBS, default="the model's"
    )


@dataclass(frozen=True)
class SampleOptions(Options):
    """Samples to calibrate with, and labelled ones to measure with."""

    calib: Path | None = opt(
        None,
        File(),
        "Samples to calibrate with, no labels needed: folder of images, list file, CSV, "
        ".npy or .npz.",
        "run prune quantize convert check",
    )
    calib_count: int = opt(
        128, Whole(1), "How many of them to use.", "run prune quantize convert check"
    )
    eval: Path | None = opt(
        None,
        File(),
        "Labelled samples to measure with: folder per class, labels.csv, .npz, COCO .json, "
        "or a folder with images/ and labels/ or masks/.",
        "run check",
    )
    eval_count: int | None = opt(
        None,
        Whole(1),
        "How many of them to use: a seeded sample that keeps the shares of the classes.",
        "run check",
        default="all",
    )
