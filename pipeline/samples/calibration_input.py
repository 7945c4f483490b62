"""The model and the calibration samples of a recipe, opened for one stage alone."""

from __future__ import annotations

from ...calibration_data.hygiene import sample_warnings
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic
from ...core.progress import Progress
from ..recipes.recipe import Recipe
from .ready_model import ReadyModel, ready_model, require_calibration


def open_calibrated(
    recipe: Recipe, stage: str, progress: Progress
) -> tuple[ReadyModel, Samples, tuple[Diagnostic, ...]]:
    """Return the model, its calibration samples, and the warnings on these, given to ``progress``.

    Raises OptionError without samples, which the ``stage`` needs, SamplesError or ModelError.
    """
    ready = ready_model(recipe.model, recipe.shape)
    calib = require_calibration(calibration_samples(ready, recipe), stage)
    warnings = sample_warnings(calib, None, recipe.run.seed)
    for warning in warnings:
        progress.warn(warning)
    return ready, calib, warnings


def calibration_samples(ready: ReadyModel, recipe: Recipe) -> Samples | None:
    """Open the calibration samples; None when there are none. Raises SamplesError."""
    samples = recipe.samples
    if samples.calib is None:
        return None
    return ready.samples(samples.calib, recipe.preprocessing, samples.calib_count, recipe.run.seed)
