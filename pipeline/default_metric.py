"""The metric where neither the user nor the model's family says one: what the labels ask for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..accuracy.metrics.label_metric import Form, metric_of_labels
from ..calibration_data.sources.labels import Labels
from ..calibration_data.sources.open_source import open_source
from ..core.errors import RockpressError
from ..core.graphs.model import load_structure
from ..core.progress import Progress
from .options.option_table import options_of
from .recipes.recipe import Recipe
from .recognition.model_view import view_of

_CALLED = {
    "boxes": "boxes",
    "keypoints": "keypoints",
    "rotated-boxes": "rotated boxes",
    "instance-masks": "outlines of objects",
    "mask": "masks",
    "text": "texts",
}


def with_metric_of_labels(recipe: Recipe, verb: str, progress: Progress) -> Recipe:
    """Return the recipe with the metric of its labels, where it has none; that is told."""
    if recipe.is_explicit("metric") or "metric" not in {
        described.name for described in options_of(verb)
    }:
        return recipe
    with suppress(RockpressError):  # whoever reads the samples or the model says more
        labels = _labels_of(recipe.samples.eval or recipe.samples.calib)
        name = labels and metric_of_labels(labels, _forms(recipe))
        if labels and name:
            progress.note(f"the metric is {name}, as the labels are {_CALLED[labels.kind]}")
            return recipe.with_options(metric=name)
    return recipe


def _labels_of(path: Path | None) -> Labels | None:
    return None if path is None else open_source(path).labels


def _forms(recipe: Recipe) -> list[Form]:
    """Return the shapes of the outputs that the metric would read, without their batch axes."""
    outputs = view_of(load_structure(recipe.model), recipe.shape.outputs).outputs
    read = recipe.metric.metric_output or tuple(output.name for output in outputs)
    shapes = {output.name: output.shape for output in outputs}
    return [shapes[name][1:] for name in read if name in shapes]
