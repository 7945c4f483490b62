"""The recipe that ``rockpress init`` writes: what is known as keys, what might be as comments."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

from ..accuracy.metrics.metric_table import with_paths_from
from ..convert.chips.targets import find_target
from ..core.option_kinds import File
from ..core.results.family_figure import FamilyFigure
from ..report.text.family_text import SOURCES
from ..report.text.feed_text import shape_text
from .ci_files import RECIPE
from .options.option_table import homes_of
from .recipes.recipe import Recipe, key_meanings, plain, recipe_phrase
from .recipes.toml_text import toml_text
from .recognition.model_view import ModelView, TensorView
from .sample_search import FoundSamples

_NOT_BARE = re.compile(r"[^A-Za-z0-9_-]+")
_OPEN = 1  # what stands for an open length of an input that is no image
_SIDE = 224  # and for one of an image

# Keys with a line of their own in the recipe, by what they are about, and an example of each.
_SAMPLES = {"calib": '"images"', "calib-count": "128", "eval": '"labelled"', "metric": '"top1"'}
_OWN_SAMPLES = ("calib", "eval")  # of each model where models take other inputs
_IMAGES = {
    "resize": '"letterbox"',
    "color": '"bgr"',
    "mean": "[123.675, 116.28, 103.53]",
    "std": "[58.395, 57.12, 57.375]",
}
_GRAY = {"mean": "127.5", "std": "127.5", "color": '"gray"'}
_WORK = {"prune": '"cycles=-20%"', "scheme": '"float16"', "mixed": '"cycles=+8%"'}
_GATES = {
    "min-retention": "0.98",
    "confidence": '"lower"',
    "max-latency-ms": "10",
    "max-size-mb": "8",
}
_CUT = (
    "# Ended before its own decoding, which is left to the host, as Rockchip's own examples do it.",
    "# Without these lines the model gives what it was exported to give.",
)


@dataclass(frozen=True)
class StartedModel:
    """A model that a recipe is written for.

    ``recipe`` has what was given and, where nothing was, the ``found`` samples; ``family`` says
    what a run would take, ``view`` what the model looks like.
    """

    recipe: Recipe
    view: ModelView
    family: FamilyFigure | None = None
    found: FoundSamples = field(default_factory=FoundSamples)


def recipe_text(models: Sequence[StartedModel], given: Collection[str], folder: Path) -> str:
    """Return the text of a recipe in ``folder``, with the ``given`` options as they were given."""
    writer = _Writer(folder)
    lines = [
        f"# A recipe for rockpress: rockpress run {RECIPE}",
        "# A key is the long name of an option of rockpress run; paths start at this folder.",
        "",
    ]
    first, shared = models[0], writer.given(models[0].recipe, given)
    if len(models) == 1:
        lines += [f"model = {writer.path(first.recipe.model)}", *_shared(first.recipe), ""]
        lines += writer.about(first, shared)
        active = {**writer.found(first), **shared}
        return _text([*lines, *_sections(models, active, _family_keys(first))])
    own = [key for key in _OWN_SAMPLES if key not in shared] if have_other_inputs(models) else []
    lines += [*_shared(first.recipe), *_sections(models, shared, own)]
    for name, model in zip(model_names(models), models, strict=True):
        lines += ["", f"[models.{name}]", f"model = {writer.path(model.recipe.model)}"]
        active = writer.found(model)
        for key in dict.fromkeys([*active, *own]):
            example = '"samples.npz"' if model.view.image is None else _SAMPLES[key]
            lines.append(active.get(key, f"# {key} = {example}"))
        lines += writer.about(model, {})
    return _text(lines)


def have_other_inputs(models: Sequence[StartedModel]) -> bool:
    """Return whether models take other inputs, so that samples of one do not fit another."""
    return len({_samples_of(model.view) for model in models}) > 1


def _samples_of(view: ModelView) -> object:
    """Return what samples have to be: images of any size, or arrays of these shapes."""
    if view.image is not None and len(view.inputs) == 1:
        return view.image.channels
    return tuple((tensor.name, tensor.shape) for tensor in view.inputs)


def model_names(models: Sequence[StartedModel]) -> list[str]:
    """Return a name for each model, by its file, that a recipe can have as a table's."""
    names: list[str] = []
    for model in models:
        stem = _NOT_BARE.sub("-", model.recipe.model.stem).strip("-_") or "model"
        taken = sum(name == stem or name.startswith(f"{stem}-") for name in names)
        names.append(f"{stem}-{taken + 1}" if stem in names else stem)
    return names


class _Writer:
    """Writes keys, with paths as seen from the folder of the recipe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, path: Path) -> str:
        """Return a path as a value."""
        return toml_text(self._relative(path))

    def given(self, recipe: Recipe, names: Collection[str]) -> dict[str, str]:
        """Return the lines of what was given, by their keys; not the target, which has its own."""
        lines: dict[str, str] = {}
        for name in names:
            group, described = homes_of(name)[0]
            value = plain(getattr(getattr(recipe, group), name))
            if (
                isinstance(described.kind, File)
                and value
                and not _is_program(described.kind, value)
            ):
                value = self._relative(Path(value))
            if name == "metric_option":
                value = self._options(recipe, value)
            if name != "target":
                lines[described.flag] = "\n".join(_lines(name, "off" if value is None else value))
        return lines

    def found(self, model: StartedModel) -> dict[str, str]:
        """Return the lines of the samples that were found, by their keys."""
        found = {"calib": model.found.calib, "eval": model.found.eval}
        return {key: f"{key} = {self.path(path)}" for key, path in found.items() if path}

    def about(self, model: StartedModel, given: Mapping[str, str]) -> list[str]:
        """Return the lines on inputs and outputs, on the family, and of what else was given."""
        written = {*given, *_family_keys(model)}
        known = {"samples": _SAMPLES, "images": _IMAGES, "work": _WORK, "gates": _GATES}
        in_sections = {key for keys in known.values() for key in keys}
        others = [line for key, line in given.items() if key not in in_sections]
        others = ["", "# What was given", *others] if others else []
        return [*_inputs(model.view, written), *self._family(model), *others]

    def _family(self, model: StartedModel) -> Iterator[str]:
        """Yield the options of the family; those of a cut go before those of the whole model."""
        family = model.family
        if family is None:
            return
        taken = [option for option in family.taken if option.option not in family.cut]
        if taken:
            yield from ("", f"# What models of the family {family.name} are fed and measured by:")
        for each in taken:
            (line,) = _lines(each.option, self._value(model.recipe, each.option, each.value))
            yield f"{line}  # {SOURCES[each.source]}"
        if family.cut:
            yield from ("", *_CUT)
            for name, value in family.cut.items():
                yield from _lines(name, self._value(model.recipe, name, value))

    def _value(self, recipe: Recipe, name: str, value: Any) -> Any:
        root, _, entry = name.partition(".")
        return self._options(recipe, {entry: value})[entry] if root == "metric_option" else value

    def _options(self, recipe: Recipe, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return a metric's options with paths as seen from the folder."""
        moved = with_paths_from(Path("folder"), recipe.metric.metric, dict.fromkeys(options, "x"))
        return {
            key: self._relative(Path(str(value))) if moved[key] != "x" else value
            for key, value in options.items()
        }

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._folder)).as_posix()


def _is_program(kind: File, value: str) -> bool:
    return kind.program and "/" not in value


def _shared(recipe: Recipe) -> list[str]:
    targets = [find_target(name).name for name in recipe.run.target]
    shown = targets[0] if len(targets) == 1 else targets
    return [f"target = {toml_text(shown)}", 'output = "build"']


def _sections(
    models: Sequence[StartedModel], active: Mapping[str, str], written: Collection[str]
) -> list[str]:
    """Return the keys that most need with what they mean, as comments unless they are active."""
    images = [model.view.image for model in models if model.view.image is not None]
    examples = _IMAGES | (_GRAY if any(image.channels == 1 for image in images) else {})
    sections = {"Samples": _SAMPLES, "What is done": _WORK, "What must hold": _GATES}
    if images:
        sections = {"Samples": _SAMPLES, "How a sample becomes an input": examples, **sections}
    meanings = key_meanings()
    lines: list[str] = []
    for title, keys in sections.items():
        lines += ["", f"# {title}"]
        for key, example in keys.items():
            if key in written:
                continue
            text = f"{key}: {meanings[key]}"
            lines += fill(text, 98, initial_indent="# ", subsequent_indent="#   ").splitlines()
            lines.append(active.get(key, f"# {key} = {example}"))
    return lines


def _family_keys(model: StartedModel) -> set[str]:
    if model.family is None:
        return set()
    names = [*model.family.cut, *(each.option for each in model.family.taken)]
    return {name.partition(".")[0].replace("_", "-") for name in names}


def _lines(name: str, value: Any) -> list[str]:
    """Return an option as lines; a table has one an entry."""
    key, _, entry = name.replace("_", "-").partition(".")
    entries = {name.partition(".")[2]: value} if entry else value
    if isinstance(entries, Mapping):
        return [recipe_phrase(key, {inner: part}) for inner, part in entries.items()]
    return [recipe_phrase(key, value)]


def _inputs(view: ModelView, written: Collection[str]) -> list[str]:
    """Return the lines on the inputs, of what they leave open, and on the outputs."""
    lines = []
    for tensor in view.inputs:
        layout = _layout(view, tensor)
        lines.append(f"# Input {toml_text(tensor.name)}: {_about(tensor)}{layout}")
        if None in tensor.shape[1:] and not {"size", "input"} & set(written):
            lines += _fixing(view, tensor)
    outputs = ", ".join(f"{toml_text(tensor.name)} {_about(tensor)}" for tensor in view.outputs)
    lines.append(f"# Outputs: {outputs}")
    if "outputs" not in written:
        lines.append(
            "# It can be ended earlier, with the key outputs; rockpress inspect lists where."
        )
    return lines


def _about(tensor: TensorView) -> str:
    return f"{shape_text(tensor.shape)} {tensor.dtype}".rstrip()


def _layout(view: ModelView, tensor: TensorView) -> str:
    if view.image is None or view.image.name != tensor.name:
        return ""
    return f", an image, channels {'first' if view.image.is_planar else 'last'}"


def _fixing(view: ModelView, tensor: TensorView) -> list[str]:
    """Return the key that fixes an open shape, with an example."""
    image = view.image
    is_image = image is not None and image.name == tensor.name
    if image is not None and is_image and len(view.inputs) == 1:
        size = [image.height or _SIDE, image.width or _SIDE]
        return [
            "# Its height and width are open, and a chip needs them fixed: as in training, or as",
            "# your images need them (detectors take multiples of 32). Write them here:",
            f"# size = {toml_text(size)}",
        ]
    length = _SIDE if is_image else _OPEN
    fixed = [tensor.shape[0] or 1, *(side or length for side in tensor.shape[1:])]
    return [
        "# Its shape is open, and a chip needs it fixed. Write the lengths that you need, such as",
        f"# {recipe_phrase('input', {tensor.name: fixed})}",
    ]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
