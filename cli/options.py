"""The options that commands share: one spelling, one help text and one reading each.

    def check(baseline: Baseline, calib: Calib = None, target: Targets = None) -> None: ...

None means "not given": the default belongs to the command, or to the recipe that it reads. Where
the help names a default, it is the one of every command that has the option.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from . import parsers
from .parsers import Input, Names, Size, Values, number, whole


def complete_target(incomplete: str) -> list[str]:
    """The chips whose name starts with ``incomplete``."""
    from ..convert.chips.targets import TARGET_NAMES

    return [name for name in TARGET_NAMES if name.startswith(incomplete.lower())]


def program_path(text: str) -> Path:
    """A program, wherever it is started from: a path from here, or a name on PATH.

    >>> program_path("python3")
    PosixPath('python3')
    """
    path = Path(text)
    # not resolved: the link is what makes it the Python of its environment
    return path.absolute() if "/" in text else path


# What is read and written
Model = Annotated[Path, Argument(metavar="MODEL", help="ONNX model to read.", show_default=False)]
OutputFile = Annotated[
    Path, Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)
]
OutputFolder = Annotated[
    Path | None,
    Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder to write to; made when missing. [default: build; demo: rockpress-demo]",
    ),
]
ReportFiles = Annotated[
    list[Path] | None,
    Option(
        "--report",
        metavar="FILE",
        parser=parsers.parse_report,
        help="Write the report here too: .json, .md, .html or .xml (JUnit). Repeatable.",
    ),
]

# Samples
Calib = Annotated[
    Path | None,
    Option(
        "--calib",
        metavar="PATH",
        help="Samples to calibrate with, no labels needed: folder of images, list file, CSV, "
        ".npy or .npz.",
    ),
]
CalibCount = Annotated[
    int | None,
    Option(
        "--calib-count",
        metavar="N",
        parser=whole(1),
        help="How many of them to use. [default: 128]",
    ),
]
Eval = Annotated[
    Path | None,
    Option(
        "--eval",
        metavar="PATH",
        help="Labelled samples to measure with: folder per class, labels.csv, .npz, COCO .json, "
        "or a folder with images/ and labels/ or masks/.",
    ),
]
EvalCount = Annotated[
    int | None,
    Option(
        "--eval-count",
        metavar="N",
        parser=whole(1),
        help="How many of them to use: a seeded sample that keeps the shares of the classes. "
        "[default: all]",
    ),
]
# The model's inputs and outputs, and how a sample becomes an input
Inputs = Annotated[
    list[Input] | None,
    Option(
        "--input",
        metavar="NAME=SHAPE",
        parser=parsers.parse_input,
        help="Fix the shape of an input, such as x=1x3x48x320. Repeatable.",
    ),
]
Outputs = Annotated[
    Names | None,
    Option(
        "--outputs",
        metavar="NAME,...",
        parser=parsers.parse_names,
        help="End the model at these tensors, such as before a detector's decoding.",
    ),
]
SizeOption = Annotated[
    Size | None,
    Option(
        "--size",
        metavar="HxW",
        parser=parsers.parse_size,
        help="Height and width of the samples. [default: the model's]",
    ),
]
Resize = Annotated[
    Literal["stretch", "letterbox", "fit", "crop"] | None,
    Option(
        "--resize",
        help="How a sample gets that size: stretch; letterbox (keep the ratio, centred, padded); "
        "fit (full height, left-aligned, padded on the right); crop (the centre). "
        "[default: stretch]",
    ),
]
Pad = Annotated[
    float | None,
    Option(
        "--pad",
        metavar="V",
        parser=number(0, 255),
        help="Pixel value of the padding. [default: 114 for letterbox, the mean for fit]",
    ),
]
Color = Annotated[
    Literal["rgb", "bgr", "gray"] | None,
    Option("--color", help="Channel order that the model was trained with. [default: rgb]"),
]
Mean = Annotated[
    Values | None,
    Option(
        "--mean",
        metavar="V[,V,V]",
        parser=parsers.parse_values,
        help="Subtracted from each channel, on the 0..255 scale. [default: 0]",
    ),
]
Std = Annotated[
    Values | None,
    Option(
        "--std",
        metavar="V[,V,V]",
        parser=parsers.parse_divisors,
        help="Divides each channel after that, on the 0..255 scale. [default: 1]",
    ),
]

# What is aimed at, and what must hold
Targets = Annotated[
    list[str] | None,
    Option(
        "--target",
        metavar="CHIP",
        autocompletion=complete_target,
        help="Chip to build for. Repeatable. [default: rk3588; inspect: none]",
    ),
]
MinRetention = Annotated[
    float | None,
    Option(
        "--min-retention",
        metavar="R",
        parser=number(0, 2),
        help="Gate: metric of the result over that of the baseline, such as 0.98 (which demo has). "
        "Exit 4 below.",
    ),
]
MaxLatencyMs = Annotated[
    float | None,
    Option(
        "--max-latency-ms",
        metavar="T",
        parser=number(0),
        help="Gate: milliseconds a frame. Exit 4 above.",
    ),
]
MaxSizeMb = Annotated[
    float | None,
    Option(
        "--max-size-mb",
        metavar="S",
        parser=number(0),
        help="Gate: size of the result. Exit 4 above.",
    ),
]
# Pruning
Prune = Annotated[
    str | None,
    Option(
        "--prune",
        metavar="BUDGET|off",
        help="Prune to this budget first. [default: off; demo: cycles=-40%]",
    ),
]
Budget = Annotated[
    str | None,
    Option(
        "--budget",
        metavar="KIND=-N%",
        help="How much to remove: cycles=-30%, latency=-25%, macs=-40% or size=-50%.",
    ),
]

# Quantization
Scheme = Annotated[
    Literal["w8a8", "w8a16", "w4a16"] | None,
    Option("--scheme", help="Bits of weights (w) and activations (a). [default: w8a8]"),
]

QuantizeStage = Annotated[
    Literal["w8a8", "off"] | None,
    Option(
        "--quantize",
        help="Bits of weights (w) and activations (a); off stays in float16. [default: w8a8]",
    ),
]

# Conversion
QuantizeBuild = Annotated[
    Literal["float16", "hybrid", "normal", "kl_divergence", "mmse", "gdq"] | None,
    Option("--quantize", help="The toolkit's own quantization; hybrid: with the ranges of --plan."),
]
BuildScheme = Annotated[
    Literal["w8a8", "w8a16", "w4a16", "w16a16i"] | None,
    Option("--scheme", help="Bits of weights (w) and activations (a). [default: w8a8]"),
]
Plan = Annotated[
    Path | None, Option("--plan", metavar="FILE", help="Quantize a float model as this plan says.")
]
Timeout = Annotated[
    float | None,
    Option("--timeout", metavar="S", parser=number(1), help="Seconds a build may take."),
]
MemoryLimit = Annotated[
    float | None,
    Option(
        "--memory-limit",
        metavar="GB",
        parser=number(0.5),
        help="Memory that all builds together may take; with --jobs each gets its share. "
        "[default: 12]",
    ),
]
ToolkitPython = Annotated[
    Path | None,
    Option(
        "--toolkit-python",
        metavar="PATH",
        parser=program_path,
        help="Python of another environment, whose rknn-toolkit2 is to be used.",
    ),
]

# How a command behaves
Seed = Annotated[
    int | None,
    Option("--seed", metavar="N", parser=whole(0), help="For all that is random. [default: 0]"),
]
Json = Annotated[bool, Option("--json", help="Print the result as one JSON document.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No progress, only the result and warnings.")]
Verbose = Annotated[
    bool, Option("--verbose", "-v", help="Say more, and what caused an error underneath.")
]
Force = Annotated[
    bool,
    Option(
        "--force",
        help="Do it again: run stages whose result is in the cache; init: replace files.",
    ),
]
