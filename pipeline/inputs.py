"""The model and the samples of a recipe, opened and held against what is asked of them."""

from __future__ import annotations

from ..calibration_data.samples import Samples
from ..core.diagnostics import option
from ..core.errors import OptionError
from .figures.robustness import require_images
from .recipes.recipe import Recipe
from .samples.bound_metric import bound_metric, require_labels
from .samples.input_sets import ready_in_all
from .samples.ready_model import (
    ReadyModel,
    calibration_samples,
    ready_model,
    require_calibration,
)
from .tasks.distilling import split_for_pruning
from .tasks.pruning import prunes, require_layers

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
        evaluation = ready.samples(
            recipe.samples.eval, recipe.preprocessing, recipe.samples.eval_count, recipe.run.seed
        )
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
