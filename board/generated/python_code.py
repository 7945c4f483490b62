"""The Python program for a board: rknn-toolkit-lite2, NumPy, and Pillow for pictures.

rknn-toolkit-lite2 needs NumPy itself. Pillow is a package of every distribution that boards come
with, and reads what cameras write; OpenCV is ten times its size, and is not needed to resize.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

from ...core.types import Shape
from .board_program import BoardProgram, SegmentPlan
from .python_heads import python_decoding
from .template_files import filled

MOST = 300  # boxes of a picture
LEAST_SIDE = 3  # cells; as the metric has it
TITLES = {
    "boxes": "Find objects in pictures with",
    "poses": "Find poses in pictures with",
    "classes": "Classify pictures with",
    "segments": "Find the class of each pixel of pictures with",
    "lines": "Find lines of text in pictures with",
    "text": "Read lines of text in pictures with",
    "values": "Run",
}
_GRAY = "gray(picture)"
_COLOURS = {"rgb": "picture", "bgr": "picture[..., ::-1]", "gray": _GRAY}


def python_program(program: BoardProgram) -> str:
    """Return the source of main.py."""
    pictures = program.takes_pictures
    kind = "pictures" if pictures else "arrays"
    parts = filled(
        "program.py",
        title=f"{TITLES[program.task]} {program.shown_name} on the NPU of an {program.target}.",
        arguments="PICTURE..." if pictures else " ".join(["FILE.npy"] * len(program.inputs)),
        pillow=", and Pillow to read pictures" if pictures else "",
        imports="\n".join(_imports(program)),
        constants="\n".join(_constants(program)),
        prepare=_prepare(program) if pictures else filled("arrays_prepare.py"),
        decode=_decode(program),
        show=_show(program),
        main=filled(f"{kind}_main.py"),
    )
    return _spaced(parts)


def _imports(program: BoardProgram) -> list[str]:
    """Return the imports; a package that is not there ends the program in one line."""
    threads, packages, names = [], ["import numpy as np"], "rknn-toolkit-lite2"
    if program.takes_pictures:
        pillow = "Image, ImageDraw, ImageOps" if program.draws_boxes else "Image, ImageOps"
        threads = ["from concurrent.futures import ThreadPoolExecutor"]
        packages += [f"from PIL import {pillow}"]
        names += " pillow"
    return [
        *(*threads, "", f'INSTALL = "pip install {names} (README.md says how)"', "try:"),
        *(f"    {package}" for package in packages),
        *("except ImportError as error:", '    raise SystemExit(f"{error}: {INSTALL}")', ""),
    ]


def _constants(program: BoardProgram) -> list[str]:
    lines = [
        "HERE = os.path.dirname(os.path.abspath(__file__))",
        f'MODEL = os.path.join(HERE, "..", {json.dumps(program.stem + ".rknn")})',
        f"CORES = {program.cores}  # of the NPU",
        *_input_constants(program),
        f"OUTPUTS = {_listed(output.shape for output in program.outputs)}",
    ]
    if program.labels:
        lines += [
            'with open(os.path.join(HERE, "labels.txt"), encoding="utf-8", newline="\\n") as file:',
            '    LABELS = file.read().split("\\n")[:-1]',
        ]
    elif program.task in ("boxes", "poses", "classes", "segments"):
        lines += ["LABELS = []  # the model does not say what its classes are called"]
    if program.draws_boxes:
        lines += [f"SCORE = {program.reading.score}  # the least of a box that is shown"]
        if program.reading.overlap is not None:
            note = "above it a worse box of the same class is dropped"
            lines += [f"OVERLAP = {program.reading.overlap}  # {note}"]
        lines += [f"MOST = {MOST}  # boxes of a picture"]
    if program.lines is not None:
        lines += [
            f"THRESHOLD = {program.reading.threshold}  # of the map: from it on a pixel is text",
            f"UNCLIP = {program.reading.unclip}  # times area / perimeter are added on every side",
            f"LEAST_SIDE = {LEAST_SIDE}  # of a box in the map",
        ]
    if program.text is not None:
        lines += [f"BLANK = {program.text.blank}"]
    return lines


def _input_constants(program: BoardProgram) -> list[str]:
    if not program.takes_pictures:
        return [
            f"INPUTS = {_listed(each.shape for each in program.inputs)}",
            f"DTYPES = {json.dumps([each.dtype for each in program.inputs])}",
        ]
    lines = ["HEIGHT, WIDTH = {}, {}".format(*program.size)]
    pad = program.inputs[0].pad
    return [*lines, f"PAD = {pad}  # the pixels beside the picture"] if pads(program) else lines


def pads(program: BoardProgram) -> bool:
    """Return whether the way to the input's size leaves room beside the picture."""
    return program.inputs[0].resize in ("letterbox", "corner", "fit")


def _prepare(program: BoardProgram) -> str:
    image = program.inputs[0]
    channels, resize = image.shape[3], image.resize or "stretch"
    canvas = "pad" if pads(program) else "crop" if resize == "crop" else "whole"
    colours = _COLOURS[image.color or "rgb"]
    prepare = filled(
        "pictures_prepare.py",
        channels=channels,
        colours=colours,
        canvas=filled(f"canvas_{canvas}.py", **({"channels": channels} if canvas == "pad" else {})),
        inner_size=filled(f"size_{resize}.py"),
    )
    return prepare + (filled("gray.py") if colours == _GRAY else "")


def _decode(program: BoardProgram) -> str:
    if program.lines is not None:
        return filled("decode_lines.py", **asdict(program.lines))
    if program.boxes is None:
        return ""
    suppresses = program.reading.overlap is not None
    suppress = filled("suppress.py") if suppresses else "    keep = slice(MOST)"
    overlaps = filled("overlaps.py") if suppresses else ""
    has_points = program.boxes.points > 0
    chosen = filled(
        "select.py",
        suppress=suppress,
        documented=", and places" if has_points else "",
        returned=", places[keep]" if has_points else "",
    )
    chosen += overlaps
    return f"{python_decoding(program.boxes)}\n\n\n{chosen}"


def _show(program: BoardProgram) -> str:
    if program.task == "values":
        pictures = program.takes_pictures
        stem = "os.path.splitext(os.path.basename(path))[0]"
        return filled(
            "show_values.py",
            parameters="path, picture, place, outputs" if pictures else "outputs",
            file=f'f"{{{stem}}}-output{{index}}.npy"' if pictures else 'f"output{index}.npy"',
        )
    if program.text is not None:
        plan, index = program.text, program.reading.outputs[0]
        shape = (plan.steps, len(plan.labels))
        steps = f"reshape{shape}" if plan.steps_first else f"reshape{shape[::-1]}.T"
        return filled("show_text.py", steps=f"outputs[{index}].{steps}")
    name = filled("name.py")
    if program.segments is not None:
        return f"{name}\n\n\n{_show_segments(program.segments)}"
    if program.draws_boxes:
        drawn = "poses" if program.task == "poses" else "boxes"
        return f"{name}\n\n\n{filled(f'show_{drawn}.py')}"
    return f"{name}\n\n\n{filled('show_classes.py', output=program.reading.outputs[0])}"


def _show_segments(plan: SegmentPlan) -> str:
    output = f"outputs[{plan.output}]"
    form = {
        "scores": f"{output}.reshape{plan.classes, plan.rows, plan.columns}.argmax(axis=0)",
        "logit": f"({output}.reshape{plan.rows, plan.columns} > 0)",
        "indices": f"np.rint({output}.reshape{plan.rows, plan.columns})",
    }
    rows, columns = plan.rows, plan.columns
    return filled("show_segments.py", rows=rows, columns=columns, classes=form[plan.form])


def _listed(shapes: Iterable[Shape]) -> str:
    return "[\n" + "".join(f"    {shape},\n" for shape in shapes) + "]"


def _spaced(source: str) -> str:
    """Return the source with two empty lines before each function, and no more anywhere."""
    spaced = re.sub(r"\n+(def |if __name__)", r"\n\n\n\1", source)
    return re.sub(r"\n{4,}", "\n\n\n", spaced) + "\n"
