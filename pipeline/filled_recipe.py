"""A recipe whose options that nobody gave are those of the family that its model is of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..accuracy.metrics.metric_table import find_metric
from ..calibration_data.preprocessing import Preprocessing
from ..calibration_data.sources.open_source import open_source
from ..calibration_data.sources.source_types import ImageSource
from ..core.diagnostics import render
from ..core.errors import ModelError, OptionError, RockpressError
from ..core.graphs.model import load_structure
from ..core.native_work import limit_to
from ..core.progress import SILENT, Progress
from ..core.results.family_figure import FamilyFigure, TakenOption
from ..report.text.family_text import cut_text, family_text
from .default_metric import with_metric_of_labels
from .families import AUTO, OFF
from .family_recognition import family_of, match_at
from .free_batches import note_free_batches
from .options.option_table import options_of
from .recipes.recipe import Recipe
from .recognition.family import Cut, Setting, Settings
from .recognition.model_view import ModelView, view_of
from .tasks.idle_options import idle_options

# options that only make sense beside each other: none is taken where one of them is given
_SCALING = ("mean", "std")
_TOGETHER = (_SCALING, ("size", "input"))
_FROM_RESIZE = ("pad",)
_METRIC = ("metric", "metric_option", "metric_output")
_PREPROCESSING = tuple(described.name for described in fields(Preprocessing))


@dataclass(frozen=True)
class FilledRecipe:
    """A recipe as it is to be carried out, and the family that filled it, None where there is none.

    ``takes_pixels`` is whether the family says what happens to an image, and the input has a form
    in which that can go inside a ``.rknn``.
    """

    recipe: Recipe
    family: FamilyFigure | None = None
    takes_pixels: bool = False

    @property
    def taken_names(self) -> set[str]:
        """Return the options that may not be what was given, by their names in Python."""
        taken = self.family.taken if self.family else ()
        return {"metric", *(each.option.partition(".")[0] for each in taken)}


def fill_recipe(recipe: Recipe, verb: str, progress: Progress = SILENT) -> FilledRecipe:
    """Return the recipe with what was not given set as its model's family has it.

    A metric that neither says is that of the labels. All is told to ``progress``. Only options of
    the ``verb`` are set, and never the outputs; those without an effect are told. Raises
    OptionError where a family is named that the model cannot be of, and ModelError where that
    cannot be told. From here on native code has the time that the recipe gives it.
    """
    limit_to(recipe.toolkit.timeout)
    filled = _filled_by_family(recipe, verb, progress)
    note_free_batches(filled.recipe, verb, progress)
    for idle in idle_options(recipe, filled.recipe, verb):
        progress.warn(idle)
    return replace(filled, recipe=with_metric_of_labels(filled.recipe, verb, progress))


def _filled_by_family(recipe: Recipe, verb: str, progress: Progress) -> FilledRecipe:
    view = _view_of(recipe)
    name, match = (OFF, None) if view is None else family_of(view, recipe.family.family)
    if view is None or match is None:
        return FilledRecipe(recipe)
    if recipe.shape.outputs:
        match = match_at(view_of(view.model, recipe.shape.outputs, view.path), name, match)
    inside = _SCALING if view.scales_input else ()  # the graph does that already
    settings = {name: each for name, each in match.settings.items() if name not in inside}
    taken = _free(recipe, settings, verb)
    options = tuple(TakenOption(name, each.value, each.source) for name, each in taken.items())
    cut = None if view.operators.get("QuantizeLinear") else match.cut  # ended before that, or never
    family = FamilyFigure(name, options, _cut_options(cut, verb))
    for text in (family_text(family) if taken else "", cut_text(family)):
        if text:
            progress.note(render(text))
    is_planar = view.image is not None and view.image.is_planar and _is_single(view, recipe)
    takes_pixels = is_planar and not taken.keys().isdisjoint(_PREPROCESSING)
    return FilledRecipe(recipe.with_options(**_tables(taken)), family, takes_pixels)


def _is_single(view: ModelView, recipe: Recipe) -> bool:
    """Return whether the inputs take one sample: a larger batch is fed prepared values."""
    shapes = [recipe.shape.largest.get(tensor.name, tensor.shape) for tensor in view.inputs]
    return all(shape[:1] in ((1,), (None,)) for shape in shapes)


def _cut_options(cut: Cut | None, verb: str) -> dict[str, object]:
    """Return the options of the verb that end a model, by their names."""
    if cut is None or verb == "predict":  # what is only shown is not made for a chip
        return {}
    names = {described.name for described in options_of(verb)}
    options = {"outputs": list(cut.outputs), **cut.options}
    return {name: value for name, value in options.items() if name.partition(".")[0] in names}


def _view_of(recipe: Recipe) -> ModelView | None:
    """Return what is to be seen of the model; None where nothing is asked, or it is no model."""
    name = recipe.family.family
    if name == OFF:
        return None
    try:
        return view_of(load_structure(recipe.model), path=recipe.model)
    except ModelError:
        if name == AUTO:  # whoever loads it says more
            return None
        raise


def _free(recipe: Recipe, settings: Settings, verb: str) -> dict[str, Setting]:
    """Return the settings of options that the verb has and nobody gave, and that make sense."""
    names = {described.name for described in options_of(verb)}
    left_out = {name for group in _TOGETHER if _any_explicit(recipe, group) for name in group}
    left_out |= set(_FROM_RESIZE) if recipe.is_explicit("resize") else set()
    left_out |= set(_METRIC) if not _is_same_task(recipe, settings) else set()
    left_out |= set(_PREPROCESSING) if _has_tensors(recipe) else set()
    return {
        name: setting
        for name, setting in settings.items()
        if (root := name.partition(".")[0]) in names and root not in left_out
        if not recipe.is_explicit(name)
    }


def _any_explicit(recipe: Recipe, group: tuple[str, ...]) -> bool:
    return any(recipe.is_explicit(name) for name in group)


def _is_same_task(recipe: Recipe, settings: Settings) -> bool:
    """Return whether the recipe's metric is the family's, or takes the same options as that."""
    name = recipe.metric.metric
    if not recipe.is_explicit("metric") or (
        "metric" in settings and settings["metric"].value == name
    ):
        return True
    options = _tables(settings).get("metric_option", {})
    if ":" in name or not options:
        return False
    try:
        find_metric(name, options)
    except OptionError:
        return False
    return True


def _has_tensors(recipe: Recipe) -> bool:
    """Return whether samples are fed as they are, so that nothing is to be done to them."""
    paths = (recipe.samples.calib, recipe.samples.eval)
    return any(_holds_tensors(path) for path in paths if path is not None)


def _holds_tensors(path: Path) -> bool:
    with suppress(RockpressError):  # whoever reads them says more
        return not isinstance(open_source(path), ImageSource)
    return False


def _tables(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the values by option, with the entries of a table put together."""
    values: dict[str, Any] = {}
    for name, setting in settings.items():
        root, _, key = name.partition(".")
        if key:
            values.setdefault(root, {})[key] = setting.value
        else:
            values[root] = setting.value
    return values
