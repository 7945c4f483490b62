"""The folder of programs for a board: all its files for one ``.rknn``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .board_program import BoardProgram
from .c_code import c_program
from .python_code import python_program
from .template_files import filled

_WIDTH = 100
LANGUAGES = ("python", "c")
# chips whose runtime is librknnrt.so for aarch64; that of the others has no rknn_inputs_set,
# and there is no rknn-toolkit-lite2 for them
CHIPS = ("rk3588", "rk3576", "rk3562", "rk3566", "rk3568", "rv1126b")

_RESIZED = {
    "stretch": "resized, whatever its ratio",
    "letterbox": "resized with its ratio kept, in the middle, padded with {pad}",
    "corner": "resized with its ratio kept, at the top left, padded with {pad}",
    "fit": "resized to the full height, on the left, padded with {pad}",
    "crop": "resized with its ratio kept to cover the input, and cut to the middle",
}
_GIVES = {
    "boxes": "boxes: the programs decode them, drop what overlaps, and draw what is left",
    "poses": "poses: the programs decode them, drop what overlaps, and draw what is left",
    "lines": "a map of where text is: the programs find the lines in it, and draw boxes of them",
    "segments": "a class for each pixel: the programs write them as a picture, and draw them",
    "classes": "a score a class: the programs tell the most likely",
    "text": "a class a step: the programs read the text (CTC)",
    "values": "outputs that the programs save as they are",
}


def program_files(program: BoardProgram, languages: Sequence[str] = LANGUAGES) -> dict[str, str]:
    """Return the texts of all files by their names, for programs in these languages."""
    files = {"README.md": _readme(program, languages)}
    if "python" in languages:
        files["main.py"] = python_program(program)
        # there also where it is empty, so that none of an earlier run is left
        files["labels.txt"] = "".join(f"{label}\n" for label in program.labels)
    if "c" in languages:
        files |= c_program(program)
    return files


def _readme(program: BoardProgram, languages: Sequence[str]) -> str:
    programs = {"python": _python(program), "c": _c(program)}
    points = [
        f"The model takes {_takes(program)}.",
        f"It gives {_GIVES[program.task]}.",
        *(programs[language] for language in LANGUAGES if language in languages),
    ]
    text = filled("README.md", name=program.shown_name, target=program.target)
    return f"{text}\n\n" + "".join(f"{_wrapped(point)}\n" for point in points)


def _wrapped(point: str) -> str:
    lines = textwrap.wrap(
        point,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _takes(program: BoardProgram) -> str:
    if not program.takes_pictures:
        shapes = ", ".join("x".join(map(str, each.shape)) for each in program.inputs)
        return f"arrays of {shapes}, as the model was given to rockpress"
    image = program.inputs[0]
    height, width = program.size
    pad = "/".join(map(str, dict.fromkeys(image.pad or (0,))))
    resized = _RESIZED[image.resize or "stretch"].format(pad=pad)
    return (
        f"a picture as uint8, {height} high and {width} wide, {image.color}, {resized}; mean and "
        "std are inside it, so nothing else may be done to the pixels"
    )


def _python(program: BoardProgram) -> str:
    if not program.takes_pictures:
        arguments = " ".join(["FILE.npy"] * len(program.inputs))
        return filled("python_use.md", pillow="", arguments=arguments, contexts="")
    contexts = f" ({program.cores} contexts, one a core, work at once)" if program.cores > 1 else ""
    return filled("python_use.md", pillow=" pillow", arguments="picture.jpg", contexts=contexts)


def _c(program: BoardProgram) -> str:
    if program.takes_pictures:
        return filled("pictures_use.md")
    inputs = " ".join(f"INPUT{index}" for index in range(len(program.inputs)))
    return filled("arrays_use.md", arguments=inputs)
