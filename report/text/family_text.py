"""The line on the family of a model: what was taken, and from where."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.diagnostics import option
from ...core.results.family_figure import FamilyFigure, Source, TakenOption
from .escape import visible

SOURCES: Mapping[Source, str] = {
    "metadata": "from its metadata",
    "form": "from its form",
    "name": "as the named family has it",
    "guess": "as a guess",
}
_SHAPES = ("size", "input")


def family_text(family: FamilyFigure) -> str:
    """Return what was taken from a family, by source.

    >>> std = TakenOption("std", [255.0], "metadata")
    >>> family_text(FamilyFigure("made-up", (std, TakenOption("size", [48, 320], "form"))))
    'family made-up: std 255 from its metadata; size 48x320 from its form'
    """
    parts = []
    for source, words in SOURCES.items():
        taken = [_option_text(option) for option in family.taken if option.source == source]
        if taken:
            parts.append(f"{', '.join(taken)} {words}")
    return f"family {family.name}: {'; '.join(parts) or 'nothing was left to take from it'}"


def cut_text(family: FamilyFigure) -> str:
    """Return how to end the model before its own decoding; "" where that is not known."""
    if not family.cut:
        return ""
    return f"its outputs are decoded in the model; to leave that to the host: {cut_options(family)}"


def cut_options(family: FamilyFigure) -> str:
    """Return the options that end the model before its own decoding, and read it there."""
    return " ".join(_mention(name, value) for name, value in family.cut.items())


def _mention(name: str, value: object) -> str:
    name, _, key = name.replace("_", "-").partition(".")
    return option(name, {key: value} if key else value)


def _option_text(option: TakenOption) -> str:
    name, _, key = option.option.partition(".")
    separator = "x" if name in _SHAPES else ","
    value = option.value if isinstance(option.value, (list, tuple)) else [option.value]
    words = separator.join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    label = f"{name} {key}" if key and name in _SHAPES else key or name
    return visible(f"{label.replace('_', '-')} {words}")
