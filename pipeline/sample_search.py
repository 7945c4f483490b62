"""Samples that lie beside a model: told by what they hold, and by their names where several fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..accuracy.metrics.metric_table import find_metric
from ..calibration_data.sources.labels import Kind
from ..calibration_data.sources.open_source import open_source
from ..calibration_data.sources.source_types import ImageSource, Source, TensorSource
from ..core.errors import RockpressError
from .recipes.recipe import Recipe
from .recognition.model_view import Dims, ModelView

# the usual names, the best first; others are taken only where there is a single one
_CALIB = ("calib", "calibration", "images", "photos", "frames", "samples", "train")
_EVAL = ("labelled", "labeled", "eval", "evaluation", "val", "validation", "valid", "test")
_FILES = (".npz", ".npy")
_MOST = 200  # entries of the folder that are looked at


@dataclass(frozen=True)
class FoundSamples:
    """Samples to calibrate with, and labelled ones to measure with; None where there are none."""

    calib: Path | None = None
    eval: Path | None = None


def find_samples(recipe: Recipe, view: ModelView) -> FoundSamples:
    """Return the samples beside a model that it can be fed, and whose labels its metric reads.

    Where all are labelled they serve for calibration too.
    """
    kind = _kind_of(recipe)
    labelled, plain = [], []
    for path, source in _sources(recipe.model.parent):
        if not _can_be_fed(source, view):
            continue
        if source.labels is None:
            plain.append(path)
        elif kind is None or source.labels.kind == kind:
            labelled.append(path)
    evaluation = _best(labelled, _EVAL)
    return FoundSamples(_best(plain, _CALIB) or evaluation, evaluation)


def _kind_of(recipe: Recipe) -> Kind | None:
    """Return the kind of labels that the metric reads; None where that is left to the labels."""
    if not recipe.is_explicit("metric") or ":" in recipe.metric.metric:
        return None
    return find_metric(recipe.metric.metric, recipe.metric.metric_option).kind


def _sources(folder: Path) -> Iterator[tuple[Path, Source]]:
    entries = sorted(folder.iterdir())[:_MOST]
    for path in entries:
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in _FILES):
            continue
        with suppress(RockpressError, OSError):  # it holds something else
            yield path, open_source(path)


def _can_be_fed(source: Source, view: ModelView) -> bool:
    if isinstance(source, ImageSource):
        return view.image is not None and len(view.inputs) == 1
    if not isinstance(source, TensorSource):
        return False
    arrays = source.tensors(0)
    dims = {tensor.name: tensor.shape for tensor in view.inputs}
    if set(arrays) == {""}:
        (array,) = arrays.values()
        return any(_fits(array.shape, shape) for shape in dims.values())
    return all(name in dims and _fits(value.shape, dims[name]) for name, value in arrays.items())


def _fits(shape: Sequence[int], dims: Dims) -> bool:
    """Return whether an array of this shape is one sample of an input, with its batch or without.

    >>> _fits((3, 8, 8), (None, 3, None, 8)), _fits((8,), (1, 8)), _fits((4,), (1, 8))
    (True, True, False)
    """
    whole = dims[1:] if len(shape) < len(dims) else dims
    return len(shape) == len(whole) and all(
        declared in (None, length) for length, declared in zip(shape, whole, strict=True)
    )


def _best(paths: Sequence[Path], names: Sequence[str]) -> Path | None:
    by_name = {path.stem.lower(): path for path in paths}
    named = [by_name[name] for name in names if name in by_name]
    if named:
        return named[0]
    return paths[0] if len(paths) == 1 else None
