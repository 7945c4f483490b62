"""A model made ready to be asked about samples: fed as it says itself, read as its metric reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..accuracy.metrics.metric import Listing
from ..accuracy.metrics.metric_table import BoundMetric
from ..accuracy.runners import own_rows, sample_rows
from ..calibration_data.samples import Samples
from ..calibration_data.sources.source_types import Source
from ..convert.convert import convert
from ..convert.manifest import manifest_path, read_manifest
from ..core.graphs.model import is_qdq, require_model_file
from ..core.progress import Progress
from ..core.results.family_figure import FamilyFigure
from ..core.results.layer_rows import FeedInput
from ..core.results.model_figures import Memory
from ..core.results.predictions import OutputStatistics, PredictedOutputs, Prediction
from ..core.session import Session
from ..core.types import Array
from .candidate_feeds import require_same_calibration, require_same_feed
from .filled_recipe import fill_recipe
from .options.sample_options import ModelOptions
from .rebuilding import Rebuildable, open_rebuildable, version_warnings
from .recipes.recipe import Recipe
from .samples.bound_metric import bound_metric
from .samples.class_names import names_in
from .samples.ready_model import ReadyModel, calibration_samples, ready_candidate
from .tasks.board_run import BoardFile, board_file, loaded_on_board
from .tasks.converting import NpuFeeds, PreparedFeeds

_LONGEST_NAME = 100
_AS_FED = ("color", "mean", "std", "resize")
# outputs of one sample, each (1, ...)
Outputs = list[Array]


@dataclass(frozen=True)
class ModelReader:
    """A model with the samples that it is asked about, a source each.

    ``outputs_of`` gives what the model gives for each sample of a source, which may take a build;
    ``memory`` is what a ``.rknn`` takes on its chip.
    """

    path: Path
    recipe: Recipe
    ready: ReadyModel
    scoring: BoundMetric
    names: tuple[str, ...]
    samples: tuple[Samples, ...]
    outputs_of: Callable[[int], Iterator[Outputs]]
    family: FamilyFigure | None
    memory: Memory | None = None

    @property
    def least(self) -> float:
        """The score from which on something is shown."""
        return self.scoring.metric.least(Listing(least=self.recipe.predict.threshold))

    def predictions(self, source: int, *, nearly: bool) -> Iterator[Prediction]:
        """Yield what the model says of each sample of a source, in the pixels of its input.

        With ``nearly`` objects are there from half the score on. Raises SamplesError for outputs
        that the metric cannot read, where one was asked for.
        """
        options = self.recipe.predict
        listing = Listing(self.names, options.top, options.threshold, nearly)
        return (self._read(outputs, listing) for outputs in self.outputs_of(source))

    def _read(self, outputs: Outputs, listing: Listing) -> Prediction:
        metric, read = self.scoring.metric, self.scoring.read(outputs)
        if not self.recipe.is_explicit("metric") and not metric.fits(read):
            return self._statistics(outputs)
        prediction = metric.plain(metric.predict(read)[0], listing)
        return self._statistics(outputs) if prediction is None else prediction

    def _statistics(self, outputs: Outputs) -> PredictedOutputs:
        """Return what the outputs hold, as they are."""
        names = [output.name for output in self.ready.model.graph.output]
        rows = (
            _statistics_of(name, output[0]) for name, output in zip(names, outputs, strict=True)
        )
        return PredictedOutputs(tuple(rows), tuple(output[0] for output in outputs))


def open_reader(
    model: Path, recipe: Recipe, sources: Sequence[tuple[Path, Source]], progress: Progress
) -> ModelReader:
    """Return a reader of a model: ONNX, QDQ ONNX, or a ``.rknn``, built again or on a board.

    What was not given is what the manifest of a ``.rknn`` says, or the model's family. Raises
    RockpressError.
    """
    built = _opened(model, recipe)
    recipe = replace(recipe, model=model if built is None else built.source)
    if built is not None:
        recipe = _as_built(replace(recipe, shape=ModelOptions()), built.manifest.inputs[0])
    filled = fill_recipe(recipe, "predict", progress)
    recipe = filled.recipe
    ready = ready_candidate(recipe.model, recipe.shape)
    for warning in ready.warnings:
        progress.warn(warning)
    samples = tuple(
        ready.bound(source, path, recipe.preprocessing).first(recipe.predict.count)
        for path, source in sources
    )
    scoring = bound_metric(recipe.metric, ready.model, samples[0])
    if built is None:
        outputs_of = partial(_computed, ready, samples)
    elif recipe.board.board is None:
        outputs_of = partial(_simulated, model, built, ready, samples, recipe, progress)
    else:
        file = board_file(model, built.manifest)
        outputs_of = partial(_on_board, recipe, file, built, samples)
    labels = samples[0].labels
    names = scoring.metric.class_names(labels) if labels is not None else ()
    names = names_in(ready.original) or (built.manifest.classes if built else ()) or names
    names = tuple(name[:_LONGEST_NAME] for name in names)
    memory = built.manifest.memory if built else None
    return ModelReader(
        model, recipe, ready, scoring, names, samples, outputs_of, filled.family, memory
    )


def fed_as_built(recipe: Recipe, models: Sequence[Path]) -> Recipe:
    """Return the recipe with the preprocess inside the one ``.rknn`` of two models, for both.

    What was given stays. Raises RockpressError for a manifest that is missing or broken.
    """
    built = [model for model in models if model.suffix.lower() == ".rknn"]
    if len(models) != 2 or len(built) != 1:
        return recipe
    return _as_built(recipe, read_manifest(manifest_path(built[0])).inputs[0])


def _opened(model: Path, recipe: Recipe) -> Rebuildable | None:
    if model.suffix.lower() == ".rknn":
        is_simulated = recipe.board.board is None
        return open_rebuildable(model, recipe.toolkit, needs_toolkit=is_simulated)
    require_model_file(model)
    return None


def _as_built(recipe: Recipe, feed: FeedInput) -> Recipe:
    """Return the recipe with the preprocess that is inside the ``.rknn``, where none was given."""
    if feed.normalisation is None:
        return recipe
    values: dict[str, Any] = {name: getattr(feed, name) for name in _AS_FED}
    if feed.pad is not None and len(set(feed.pad)) == 1:
        values["pad"] = feed.pad[0]
    left = {name: value for name, value in values.items() if not recipe.is_explicit(name)}
    return recipe.with_options(**left)


def _computed(ready: ReadyModel, samples: Sequence[Samples], source: int) -> Iterator[Outputs]:
    """Yield the outputs of ONNX Runtime, one sample at a time."""
    session = Session(ready.model, optimise=not is_qdq(ready.model))
    own = samples[source]
    for index in range(len(own)):
        outputs = session.run(own.feeds(index))
        yield [row[np.newaxis] for row in own_rows(outputs, own)]


def _simulated(
    path: Path,
    built: Rebuildable,
    ready: ReadyModel,
    all_samples: Sequence[Samples],
    recipe: Recipe,
    progress: Progress,
    source: int,
) -> Iterator[Outputs]:
    """Yield the outputs of the simulator, in which all samples of a source run together."""
    samples, manifest = all_samples[source], built.manifest
    takes_pixels = _takes_pixels(path, built, samples)
    calib = calibration_samples(ready, recipe)
    if not built.is_own:
        require_same_calibration(manifest, calib, path)
    feeds = NpuFeeds(samples) if takes_pixels else PreparedFeeds(samples)
    preprocess = samples.npu_preprocess if takes_pixels else None
    conversion = convert(built.request(recipe.toolkit, preprocess, calib, feeds), progress)
    for warning in version_warnings(manifest, conversion):
        progress.warn(warning)
    outputs = sample_rows(list(conversion.outputs or ()), samples)
    return ([output[index : index + 1] for output in outputs] for index in range(len(samples)))


def _on_board(
    recipe: Recipe,
    file: BoardFile,
    built: Rebuildable,
    all_samples: Sequence[Samples],
    source: int,
) -> Iterator[Outputs]:
    """Yield the outputs of a board, one sample at a time."""
    samples = all_samples[source]
    takes_pixels = _takes_pixels(file.path, built, samples)
    with loaded_on_board(recipe, file) as runner:
        for index in range(len(samples)):
            feeds = samples.npu_feeds(index) if takes_pixels else samples.feeds(index)
            yield [row[np.newaxis] for row in own_rows(runner.run(feeds), samples)]


def _takes_pixels(path: Path, built: Rebuildable, samples: Samples) -> bool:
    """Return whether mean and std are inside. Raises OptionError for samples fed otherwise."""
    if built.manifest.inputs[0].normalisation is None:
        return False
    require_same_feed(built.manifest, samples, path)
    return True


def _statistics_of(name: str, output: Array) -> OutputStatistics:
    values = np.asarray(output, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        figures = [values.min(), values.mean(), values.max()] if values.size else [0.0] * 3
    return OutputStatistics(name, values.shape, *map(float, figures))
