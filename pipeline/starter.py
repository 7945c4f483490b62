"""What ``rockpress init`` writes: a recipe, a fragment for a Makefile, and a workflow for CI."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from onnx import ModelProto

from ..core.diagnostics import option
from ..core.errors import OutputError
from ..core.files import write_text
from ..core.graphs.model import load_model
from ..core.passes.prepare import input_shapes_of
from ..core.results.family_figure import FamilyFigure
from ..report.text.family_text import SOURCES
from .recipes.recipe import key_meanings, recipe_phrase

RECIPE = "rockpress.toml"
FRAGMENT = "rockpress.mk"
WORKFLOW = ".github/workflows/rockpress.yml"
_IMAGE_CHANNELS = (1, 3, 4)
_LAST = " (an image, channels last)"
_EXAMPLE = 224

# Keys with a line of their own in the recipe, by what they are about, and an example of each.
_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Samples": {
        "calib": '"images"',
        "calib-count": "128",
        "eval": '"labelled"',
        "metric": '"top1"',
    },
    "How a sample becomes an input": {
        "resize": '"letterbox"',
        "color": '"bgr"',
        "mean": "[123.675, 116.28, 103.53]",
        "std": "[58.395, 57.12, 57.375]",
    },
    "What is done": {"prune": '"cycles=-20%"', "scheme": '"float16"', "mixed": '"cycles=+8%"'},
    "What must hold": {
        "min-retention": "0.98",
        "confidence": '"lower"',
        "max-latency-ms": "10",
        "max-size-mb": "8",
    },
}

_ENDING = (
    "# The model can be ended earlier, before a detector's decoding:",
    '# outputs = ["boxes", "scores"]',
)
_CUT = (
    "# Ended before its own decoding, which is left to the host, as Rockchip's own examples do it.",
    "# Without these lines the model gives what it was exported to give.",
)

_MAKEFILE = """\
# For a Makefile: "include {name}", then "make rockpress". ROCKPRESS= names another command.
ROCKPRESS ?= rockpress

.PHONY: rockpress
rockpress: build/passed

# The report is written when a gate fails (exit code 4), too. So it is this file that says that all
# is well; the report is what the depfile has a rule for. -o goes before the recipe's output.
build/passed: build/report.json
\t$(ROCKPRESS) run {recipe} -o build --depfile build/report.d
\t@touch $@

build/report.json: {recipe}
\t@touch -c $@

-include build/report.d
"""

_WORKFLOW = """\
name: rockpress
on:
  push:
  pull_request:
jobs:
  model:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install rockpress
      - run: >-
          rockpress run {recipe} --report build/summary.md --report build/report.html
          --report build/junit.xml
      - if: always()
        run: cat build/summary.md >> "$GITHUB_STEP_SUMMARY"
      - if: always()
        uses: actions/upload-artifact@v4
        with:
          name: rockpress
          path: build
"""


@dataclass(frozen=True)
class Answers:
    """What is known besides the model; paths are relative to the folder that is written to.

    ``family`` is the one that the model is of, if any.
    """

    model: str
    calib: str | None
    eval: str | None
    targets: tuple[str, ...]
    family: FamilyFigure | None = None


def starter_files(model: ModelProto, answers: Answers) -> dict[str, str]:
    """Return relative path -> text of the files."""
    return {
        RECIPE: recipe_text(model, answers),
        FRAGMENT: _MAKEFILE.format(name=FRAGMENT, recipe=RECIPE),
        WORKFLOW: _WORKFLOW.format(recipe=RECIPE),
    }


def write_starter(model: Path, folder: Path, answers: Answers, *, force: bool) -> tuple[Path, ...]:
    """Write the files and return their paths. Raises OutputError when one is there already."""
    files = starter_files(load_model(model), answers)
    existing = [name for name in files if (folder / name).exists()]
    if existing and not force:
        raise OutputError(
            f"{folder / existing[0]} is there already", f"{option('force')} replaces it"
        )
    for name, text in files.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in files)


def recipe_text(model: ModelProto, answers: Answers) -> str:
    """Return a recipe for the model: what is known as keys, what might be as comments."""
    written, family_lines = _family_lines(answers)
    targets = answers.targets[0] if len(answers.targets) == 1 else list(answers.targets)
    lines = [
        "# A recipe for rockpress: rockpress run " + RECIPE,
        "# A key is the long name of an option of rockpress run; paths start at this folder.",
        "",
        f"model = {json.dumps(answers.model)}",
        f"target = {json.dumps(targets)}",
        'output = "build"',
        "",
        *_inputs(model, written),
        *family_lines,
    ]
    samples = {"calib": answers.calib, "eval": answers.eval}
    gray = any(_layout(shape) and 1 in shape[1:] for shape in input_shapes_of(model).values())
    examples = {"mean": "127.5", "std": "127.5", "color": '"gray"'} if gray else {}
    meanings = key_meanings()
    for title, keys in _SECTIONS.items():
        lines += ["", f"# {title}"]
        for key, example in keys.items():
            if key in written:
                continue
            text, indent = f"{key}: {meanings[key]}", "#   "
            lines += fill(text, 98, initial_indent="# ", subsequent_indent=indent).splitlines()
            line = f"# {key} = {examples.get(key, example)}"
            lines.append(f"{key} = {json.dumps(samples[key])}" if samples.get(key) else line)
    return "\n".join(lines) + "\n"


def _family_lines(answers: Answers) -> tuple[set[str], list[str]]:
    """Return the keys that the model's family sets, and their lines.

    Those of a cut go before those of the model as it is.
    """
    family = answers.family
    if family is None:
        return set(), []
    taken = [option for option in family.taken if option.option not in family.cut]
    lines = ["", f"# What models of the family {family.name} are fed, and how they are measured:"]
    lines += [f"{_line(each.option, each.value)}  # {SOURCES[each.source]}" for each in taken]
    if family.cut:
        lines += ["", *_CUT, *(_line(name, value) for name, value in family.cut.items())]
    names = [*family.cut, *(each.option for each in taken)]
    return {_key(name).partition(".")[0] for name in names}, lines


def _line(name: str, value: object) -> str:
    key, _, entry = _key(name).partition(".")
    return recipe_phrase(key, {entry: value} if entry else value)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _inputs(model: ModelProto, written: Collection[str]) -> list[str]:
    """Return the lines of the model's inputs and outputs, and of what it leaves open."""
    lines = []
    inputs = input_shapes_of(model)
    for name, shape in inputs.items():
        text = " x ".join("?" if length is None else str(length) for length in shape)
        lines.append(f"# Input {json.dumps(name)}: {text}{_layout(shape)}")
        if None in shape[1:] and not {"size", "input"} & set(written):
            lines += _fixing(name, shape, alone=len(inputs) == 1)
    outputs = ", ".join(json.dumps(value.name) for value in model.graph.output)
    ending = [] if "outputs" in written else _ENDING
    return [*lines, f"# Outputs: {outputs}", *ending]


def _fixing(name: str, shape: tuple[int | None, ...], *, alone: bool) -> list[str]:
    """Return the key that fixes an open shape, with an example."""
    fixed = [shape[0] or 1, *(length or _EXAMPLE for length in shape[1:])]
    if not (alone and (layout := _layout(shape))):
        comment = "# Its shape has to be fixed, such as:"
        return [comment, f"# input.{json.dumps(name)} = {json.dumps(fixed)}"]
    size = fixed[1:3] if layout == _LAST else fixed[2:]
    return [
        "# Its height and width are open, and a chip needs them fixed: as in training, or as your",
        "# images need them (detectors take multiples of 32). Write them here:",
        f"# size = {json.dumps(size)}",
    ]


def _layout(shape: tuple[int | None, ...]) -> str:
    if len(shape) != 4:
        return ""
    if shape[1] in _IMAGE_CHANNELS:
        return " (an image, channels first)"
    return _LAST if shape[3] in _IMAGE_CHANNELS else ""
