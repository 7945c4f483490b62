"""What ``rockpress predict`` calls: one model on a few samples, or two side by side, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from ..accuracy.metrics.voice_activity import segments_of
from ..accuracy.picture_places import in_picture
from ..accuracy.prediction_difference import difference_of
from ..calibration_data.images.geometry import Pixels
from ..calibration_data.samples import Samples
from ..calibration_data.sources.given_sources import open_given
from ..calibration_data.sources.source_types import ImageFiles, ImageSource, Source
from ..core.diagnostics import Diagnostic, option
from ..core.errors import SamplesError
from ..core.progress import SILENT, Progress
from ..core.results.differences import Difference
from ..core.results.prediction_rows import PredictionReport, SamplePrediction
from ..core.results.predictions import (
    PredictedMap,
    PredictedObjects,
    PredictedOutputs,
    PredictedSpeech,
    Prediction,
)
from ..report.drawing.task_drawings import drawn, drawn_apart
from .drawing_files import DrawingFiles
from .model_reader import ModelReader, fed_as_built, open_reader
from .recipes.recipe import Recipe
from .samples.input_sets import require_one_shape
from .tasks.board_run import require_rknn

_NO_ARRAY = np.zeros((0, 0), np.uint8)


def predict(
    recipe: Recipe,
    samples: Sequence[Path],
    *,
    against: Path | None = None,
    drawings: Path | None = None,
    progress: Progress = SILENT,
) -> PredictionReport:
    """Return what ``recipe.model`` says of samples, decoded as its metric reads it.

    The model, and another that it is held ``against``, may be ONNX, QDQ ONNX or ``.rknn``, which is
    built again and simulated, or run on ``recipe.board``. ``samples`` are images, folders or files
    of arrays. Pictures with what was said are written to the folder ``drawings``. The arrays of
    masks and maps are in these alone. Raises RockpressError.
    """
    require_one_shape(recipe.shape, "predict")
    board = recipe.board.board
    models = [recipe.model, *([against] if against else [])]
    require_rknn(board, models)
    sources = _sources(samples)
    recipe = fed_as_built(_with_samples(recipe, sources), models)
    files = None if drawings is None else DrawingFiles(drawings, _image_files(sources))
    readers = [open_reader(recipe.model, recipe, sources, progress)]
    if against is not None:
        readers.append(open_reader(against, recipe, sources, progress))
        readers = _with_names(readers)
    progress.stage("predict")
    rows = tuple(_rows(readers, files, progress))
    warnings = tuple(_undecoded(readers[0], rows))
    for warning in warnings:
        progress.warn(warning)
    metric, least = readers[0].scoring.metric.name, readers[0].least
    family = readers[0].family
    memory = {reader.path: reader.memory for reader in readers if reader.memory is not None}
    return PredictionReport(
        recipe.model, against, metric, least, rows, family, warnings, board, memory
    )


def _with_names(readers: Sequence[ModelReader]) -> list[ModelReader]:
    """Return the readers with the classes' names of the other where one has none."""
    names = next((reader.names for reader in readers if reader.names), ())
    return [replace(reader, names=reader.names or names) for reader in readers]


def _sources(paths: Sequence[Path]) -> list[tuple[Path, Source]]:
    if not paths:
        raise SamplesError("there are no samples to predict", "give images or files of arrays")
    return open_given(paths)


def _with_samples(recipe: Recipe, sources: Sequence[tuple[Path, Source]]) -> Recipe:
    """Return the recipe with the samples that say how they are fed, tensors as they are."""
    tensors = [path for path, source in sources if not isinstance(source, ImageSource)]
    return recipe.with_options(eval=tensors[0]) if tensors else recipe


def _image_files(sources: Sequence[tuple[Path, Source]]) -> list[Path]:
    return [
        path for _, source in sources if isinstance(source, ImageFiles) for path in source.paths
    ]


@dataclass(frozen=True)
class _Asked:
    """A sample by its name and picture, and what each model says of it."""

    name: str
    picture: Pixels | None
    said: tuple[Prediction, ...]


def _rows(
    readers: Sequence[ModelReader], files: DrawingFiles | None, progress: Progress
) -> Iterator[SamplePrediction]:
    total = sum(map(len, readers[0].samples))
    done = 0
    for source in range(len(readers[0].samples)):
        for asked in _asked(readers, source):
            yield _row(readers, asked, files)
            done += 1
            progress.step("samples", done, total)


def _asked(readers: Sequence[ModelReader], source: int) -> Iterator[_Asked]:
    """Yield the samples of a source; frames of a stream, each a sample, are one."""
    samples = readers[0].samples[source]
    several = len(readers) > 1
    given: Iterator[tuple[Prediction, ...]] = zip(
        *(reader.predictions(source, nearly=several) for reader in readers), strict=True
    )
    if samples.is_pixels:
        for index, said in enumerate(given):
            picture = samples.original(index)
            places = (
                _placed(prediction, reader.samples[source], index, picture)
                for prediction, reader in zip(said, readers, strict=True)
            )
            yield _Asked(samples.name(index), picture, tuple(places))
        return
    first = next(given)
    given = chain([first], given)
    if len(samples) > 1 and all(map(_is_frame, first)):
        name = samples.name(0).rpartition("[")[0] or samples.name(0)
        yield _Asked(name, None, tuple(_stream(frames) for frames in zip(*given, strict=True)))
        return
    for index, said in enumerate(given):
        yield _Asked(samples.name(index), None, said)


def _placed(
    prediction: Prediction, samples: Samples, index: int, picture: Pixels | None
) -> Prediction:
    if picture is None:
        return prediction
    height, width = picture.shape[:2]
    return in_picture(prediction, samples.placement(index), (height, width))


def _is_frame(prediction: Prediction) -> bool:
    return isinstance(prediction, PredictedSpeech) and len(prediction.probabilities) == 1


def _stream(frames: Sequence[Prediction]) -> PredictedSpeech:
    """Return samples of one frame each as one of all frames."""
    heard = [frame for frame in frames if isinstance(frame, PredictedSpeech)]
    values = tuple(frame.probabilities[0] for frame in heard)
    least = heard[0].threshold
    return PredictedSpeech(values, least, segments_of(np.array(values) >= least))


def _row(
    readers: Sequence[ModelReader], asked: _Asked, files: DrawingFiles | None
) -> SamplePrediction:
    """Return the row of a sample, and write its drawing."""
    first, *others = asked.said
    least = readers[0].least
    difference = difference_of(first, others[0], least) if others else None
    drawing = None
    if files is not None:
        pixels = _drawn(readers, asked, difference, least)
        drawing = None if pixels is None else files.write(asked.name, pixels)
    shown = [_without_arrays(_above(prediction, least)) for prediction in asked.said]
    return SamplePrediction(
        asked.name, shown[0], shown[1] if others else None, _bare(difference), drawing
    )


def _drawn(
    readers: Sequence[ModelReader], asked: _Asked, difference: Difference | None, least: float
) -> Pixels | None:
    if difference is None:
        return drawn(asked.picture, asked.said[0])
    first, second = asked.said
    titles = (str(readers[0].path), str(readers[1].path))
    return drawn_apart(asked.picture, (first, second), difference, titles, least)


def _above(prediction: Prediction, least: float) -> Prediction:
    return prediction.above(least) if isinstance(prediction, PredictedObjects) else prediction


def _without_arrays(prediction: Prediction) -> Prediction:
    """Return the same without the values of pixels and outputs, which would fill the memory."""
    match prediction:
        case PredictedMap():
            return replace(prediction, pixels=_NO_ARRAY)
        case PredictedOutputs():
            return replace(prediction, values=())
        case PredictedObjects(objects):
            return PredictedObjects(tuple(replace(each, mask=None) for each in objects))
    return prediction


def _bare(difference: Difference | None) -> Difference | None:
    if difference is None:
        return None
    pairs = (
        replace(
            pair,
            before=pair.before and replace(pair.before, mask=None),
            after=pair.after and replace(pair.after, mask=None),
        )
        for pair in difference.objects
    )
    return replace(difference, objects=tuple(pairs))


def _undecoded(reader: ModelReader, rows: Sequence[SamplePrediction]) -> Iterator[Diagnostic]:
    """Yield a warning where no metric has read the outputs."""
    if rows and isinstance(rows[0].prediction, PredictedOutputs):
        shapes = ", ".join(
            "x".join(map(str, output.shape)) for output in rows[0].prediction.outputs
        )
        yield Diagnostic(
            "output-undecoded",
            f"{reader.path}: nothing says what its outputs of the shape {shapes} mean, so they are "
            "shown as they are",
            f"name a {option('metric')} that reads them, or the model's {option('family')}",
        )
