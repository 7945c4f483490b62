"""The model and the samples of a recipe, opened and held against what is asked of them."""

from __future__ import annotations

from pathlib import Path

from ..calibration_data.samples import Samples
from ..core.diagnostics import option
from ..core.errors import OptionError
from .figures.robustness import require_images
from .recipes.recipe import Recipe
from .samples.bound_metric import bound_metric, require_labels
from .samples.input_sets import ready_in_all
from .samples.parts import part_of
from .samples.ready_model import (
    ReadyModel,
    calibration_samples,
    ready_model,
    require_calibration,
)
from .tasks.distilling import split_for_pruning
from .tasks.pruning import require_layers
from .tasks.pruning_options import prunes

# the model made ready, calibration samples, and those that everything is compared on
RunInputs = tuple[ReadyModel, Samples | None, Samples]


def open_inputs(recipe: Recipe) -> RunInputs:
    """Return the model made ready, and what ``open_both`` gives.

    Raises what they raise, and what pruning would only find when it begins.
    """
    ready = ready_in_all(ready_model(recipe.model, recipe.shape), recipe.shape)
    require_layers(recipe.prune, ready.model)
    calib, evaluation = open_both(ready, recipe)
    if prunes(recipe.prune) and calib is not None:
        split_for_pruning(calib, recipe.prune, recipe.run.seed)
    return ready, calib, evaluation


def open_both(ready: ReadyModel, recipe: Recipe) -> tuple[Samples | None, Samples]:
    """Return calibration samples (None when not needed) and those that everything is compared on.

    Without labelled samples the calibration samples serve for the comparison too. Raises
    SamplesError, and OptionError when one set holds images and the other tensors, or when images
    are needed.
    """
    calib = calibration_samples(ready, recipe)
    if recipe.samples.eval is None:
        evaluation = require_calibration(calib, "the comparison")
        bound_metric(recipe.metric, ready.model, evaluation)
    else:
        evaluation = _evaluation(ready, recipe.samples.eval, recipe)
        require_labels(
            recipe.samples.eval,
            recipe.gates.min_retention,
            bound_metric(recipe.metric, ready.model, evaluation),
            evaluation,
        )
    if calib is not None and calib.is_pixels != evaluation.is_pixels:
        raise OptionError(
            f"one of {option('calib')} and {option('eval')} holds images and the other tensors",
            "give both in the same form: the .rknn is built for one of them",
        )
    require_images(recipe.check, evaluation)
    return calib, evaluation


def _evaluation(ready: ReadyModel, path: Path, recipe: Recipe) -> Samples:
    """Return the samples to compare on, of the part that is asked for. Raises SamplesError."""
    options, seed = recipe.samples, recipe.run.seed
    if options.eval_part == "all":
        return ready.samples(path, recipe.preprocessing, options.eval_count, seed)
    whole = ready.samples(path, recipe.preprocessing)
    part = part_of(whole, options.eval_part)
    return part if options.eval_count is None else part.take(options.eval_count, seed)
