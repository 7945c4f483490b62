"""The C program for a board: rknn_api.h, the C library and POSIX threads, nothing else.

Sources by the names of their files. Decoding knows nothing of the NPU, so that it can be taken
elsewhere, and tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...core.results.reading import Reading
from .board_program import BoardProgram, LinePlan, SegmentPlan
from .c_heads import c_decoding, c_points
from .head_plan import Table
from .python_code import LEAST_SIDE, MOST, TITLES, pads
from .template_files import filled

_CLASSES_SHOWN = 5
_TYPES = {
    **{"uint8": "UINT8", "int8": "INT8", "float32": "FLOAT32", "float16": "FLOAT16"},
    **{"int16": "INT16", "int32": "INT32", "int64": "INT64", "bool": "BOOL"},
}
_PLACES = {
    "stretch": "stretched",
    "letterbox": "in the middle",
    "corner": "at the top left",
    "fit": "of full height, on the left",
    "crop": "around it, so that its middle is left",
}


def c_program(program: BoardProgram) -> dict[str, str]:
    """Return the sources."""
    sources = {
        "model.h": _model_header(program),
        "npu.h": filled("npu.h"),
        "npu.c": filled("npu.c"),
    }
    if program.takes_pictures:
        sources |= {"picture.h": filled("picture.h"), "picture.c": _picture(program)}
    if program.task != "values":
        sources |= _decode(program)
    sources["main.c"] = _pictures_main(program) if program.takes_pictures else _arrays_main(program)
    sources["Makefile"] = filled(
        "Makefile",
        sources=" ".join(sorted(name for name in sources if name.endswith(".c"))),
        headers=" ".join(sorted(name for name in sources if name.endswith(".h"))),
        threads=" -lpthread" if program.takes_pictures else "",
    )
    return {name: f"{source}\n" for name, source in sources.items()}


def _model_header(program: BoardProgram) -> str:
    labels = program.labels
    constants = []
    if program.draws_boxes:
        constants += [f"#define SCORE {_float(program.reading.score)} /* the least of a box */"]
        if program.reading.overlap is not None:
            overlap = _float(program.reading.overlap)
            note = "above it a worse box of the same class is dropped"
            constants += [f"#define OVERLAP {overlap} /* {note} */"]
        constants += [f"#define MOST {MOST} /* boxes of a picture */"]
    if program.boxes is not None and program.boxes.points:
        constants += [f"#define POINTS {program.boxes.points} /* of each box */"]
    if program.lines is not None:
        constants += _line_constants(program.lines, program.reading)
    if program.text is not None:
        longest = max(len(label.encode()) for label in labels)
        constants += [f"#define LONGEST_LABEL {longest} /* bytes */"]
    tables = [_table(program, index) for index in range(len(program.outputs))]
    return filled(
        "model.h",
        name=program.shown_name,
        target=program.target,
        model=_text(f"../{program.stem}.rknn"),
        cores=program.cores,
        input="\n".join(_inputs(program)),
        outputs=len(program.outputs),
        constants="".join(f"{line}\n" for line in constants),
        tables="\n".join(
            f"    {{{table.cells}, {table.channels}, {int(table.planar)}}}," for table in tables
        ),
        label_count=len(labels),
        labels="\n".join(f"    {_text(label)}," for label in (*labels, "")),
    )


def _line_constants(plan: LinePlan, reading: Reading) -> list[str]:
    return [
        f"#define ROWS {plan.rows} /* of the map */",
        f"#define COLUMNS {plan.columns}",
        f"#define THRESHOLD {_float(reading.threshold)} /* from it on a pixel is text */",
        f"#define UNCLIP {_float(reading.unclip)} /* times area / perimeter are added on a side */",
        f"#define LEAST_SIDE {LEAST_SIDE} /* of a box in the map */",
    ]


def _inputs(program: BoardProgram) -> list[str]:
    lines = [f"#define INPUTS {len(program.inputs)}"]
    if program.takes_pictures:
        pixels = program.inputs[0]
        pad = ", ".join(map(str, pixels.pad if pads(program) and pixels.pad else (0,)))
        return [
            *lines,
            f"#define INPUT_TYPES {{RKNN_TENSOR_{_TYPES[pixels.dtype]}}}",
            "#define INPUT_SIZES {HEIGHT * WIDTH * CHANNELS}",
            "#define HEIGHT {}\n#define WIDTH {}".format(*program.size),
            f"#define CHANNELS {pixels.shape[3]}",
            f"static const unsigned char PAD[CHANNELS] = {{{pad}}}; /* beside the picture */",
        ]
    types = ", ".join(f"RKNN_TENSOR_{_TYPES[each.dtype]}" for each in program.inputs)
    sizes = [math.prod(each.shape) * np.dtype(each.dtype).itemsize for each in program.inputs]
    return [
        *lines,
        f"#define INPUT_TYPES {{{types}}}",
        f"#define INPUT_SIZES {{{', '.join(map(str, sizes))}}}",
    ]


def _table(program: BoardProgram, index: int) -> Table:
    if program.lines is not None and index == program.lines.output:
        return Table(program.lines.rows, program.lines.columns, planar=False)
    tables = program.boxes.tables if program.boxes is not None else {}
    shape = program.outputs[index].shape
    return tables.get(index) or Table(
        math.prod(shape[:-1]), shape[-1] if shape else 1, planar=False
    )


def _picture(program: BoardProgram) -> str:
    pixels = program.inputs[0]
    resize = pixels.resize or "stretch"
    return filled(
        "picture.c",
        colour=filled(f"colour_{pixels.color or 'rgb'}.c"),
        how=_PLACES[resize],
        inner_size=filled(f"size_{resize}.c"),
    )


def _decode(program: BoardProgram) -> dict[str, str]:
    if program.lines is not None:
        source = filled(
            "decode_boxes.c",
            decode=filled("decode_lines.c", output=program.lines.output),
            overlap="",
            suppress="        boxes[count++] = box;\n",
            points="",
        )
        return {"decode.h": filled("decode_boxes.h", points=""), "decode.c": source}
    if program.boxes is not None:
        suppresses = program.reading.overlap is not None
        keep = filled("suppress.c") if suppresses else "        boxes[count++] = box;"
        source = filled(
            "decode_boxes.c",
            decode=c_decoding(program.boxes),
            overlap=filled("overlap.c") + "\n" if suppresses else "",
            suppress=f"{keep}\n",
            points=f"{c_points(program.boxes)}\n" if program.boxes.points else "",
        )
        points = f"{filled('points.h')}\n" if program.boxes.points else ""
        return {"decode.h": filled("decode_boxes.h", points=points), "decode.c": source}
    index = program.reading.outputs[0]
    if program.text is not None:
        plan = program.text
        classes = len(plan.labels)
        by_step, by_class = f"step * {classes} + {{}}", f"{{}} * {plan.steps} + step"
        place = by_step if plan.steps_first else by_class
        source = filled(
            "decode_text.c",
            steps=plan.steps,
            classes=classes,
            blank=plan.blank,
            output=index,
            index=place.format("label"),
            best=place.format("best"),
        )
        return {"decode.h": filled("decode_text.h", steps=plan.steps), "decode.c": source}
    if program.segments is not None:
        segments = program.segments
        classes_of = filled(f"classes_{segments.form}.c", **_count_of(segments))
        header = filled("decode_segments.h", rows=segments.rows, columns=segments.columns)
        source = filled("decode_segments.c", output=index, classes=classes_of)
        return {"decode.h": header, "decode.c": source}
    classes = math.prod(program.outputs[index].shape)
    source = filled("decode_classes.c", classes=classes, output=index)
    shown = min(_CLASSES_SHOWN, classes)
    return {"decode.h": filled("decode_classes.h", shown=shown), "decode.c": source}


def _count_of(plan: SegmentPlan) -> dict[str, int]:
    return {"count": plan.classes} if plan.form == "scores" else {}


def _pictures_main(program: BoardProgram) -> str:
    has_decode = program.task != "values"
    if program.draws_boxes:
        has_points = program.boxes is not None and program.boxes.points
        points = f"{filled('show_points.c')}\n" if has_points else ""
        task = "poses" if program.task == "poses" else "boxes"
        show = filled("show_boxes.c", task=task, points=points)
    else:
        show = filled(f"show_{program.task}.c")
    if not has_decode:
        show = f"{filled('show_output.c')}\n\n{show}"
    return filled(
        "pictures_main.c",
        title=_title(program),
        includes='#include "decode.h"' if has_decode else "",
        show=show,
    ).replace("\n\n\n", "\n\n")


def _arrays_main(program: BoardProgram) -> str:
    arguments = " ".join(f"INPUT{index}" for index in range(len(program.inputs)))
    return filled(
        "arrays_main.c",
        title=_title(program),
        arguments=arguments,
        planes="\n".join(_planes(each.shape, each.dtype) for each in program.inputs),
        show_output=filled("show_output.c"),
    )


def _planes(shape: tuple[int, ...], dtype: str) -> str:
    """Return bytes, channels and cells; of other than four axes, cells of one channel."""
    channels = shape[1] if len(shape) == 4 else 1
    return f"    {{{np.dtype(dtype).itemsize}, {channels}, {math.prod(shape) // channels}}},"


def _title(program: BoardProgram) -> str:
    return f"{TITLES[program.task]} {program.shown_name} on the NPU of an {program.target}."


def _float(value: float) -> str:
    return f"{float(value)!r}f"


def _text(text: str) -> str:
    """Return a literal of C: UTF-8 as it is, what C or an old compiler reads otherwise by number.

    >>> _text('a"b'), _text("what??!")
    ('"a\\\\"b"', '"what?\\\\?!"')
    """
    return f'"{"".join(_escaped(text))}"'


def _escaped(text: str) -> Iterable[str]:
    before = ""
    for character in text:
        if character in '"\\' or (character == before == "?"):
            yield f"\\{character}"
        elif character < " " or character == "\x7f":
            yield f"\\{ord(character):03o}"
        else:
            yield character
        before = character
