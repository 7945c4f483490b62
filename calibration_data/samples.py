"""Samples bound to a model: a source, the preprocess, and the inputs they are fed to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.diagnostics import option
from ..core.errors import OptionError, SamplesError
from ..core.types import Array, Shape
from .batches import NO_TYPES, InputTypes, batch_of, fitted_tensor, row_shape
from .image_inputs import preprocess_for
from .images.geometry import ImagePlacement, Pixels, placement
from .preprocess import Preprocess
from .preprocessing import DEFAULT_PREPROCESSING, Preprocessing
from .sample_selection import Indices, choose
from .sources.class_order import in_order_of
from .sources.labels import Labels
from .sources.open_source import open_source
from .sources.source_types import DerivedSource, ImageSource, Source, TensorSource


@dataclass(frozen=True, eq=False)
class Samples:
    """A lazy, sized collection of samples; iterating gives the feeds, as often as needed.

    ``preprocess`` is None when the samples are tensors, which are fed as they are. ``indices``
    are the chosen samples of the source. One sample is in memory at a time.

    A model of a fixed ``batch`` is fed a sample and those after it, from the first on again behind
    the last; only the first row of its outputs is the sample's. ``pool`` are the samples of which a
    batch is made, by default those that are chosen. ``types`` are those of the inputs.
    """

    source: Source
    inputs: Mapping[str, Shape]
    preprocess: Preprocess | None
    indices: Indices
    batch: int = 1
    pool: Indices | None = None
    types: InputTypes = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (self.feeds(index) for index in range(len(self)))

    @property
    def labels(self) -> Labels | None:
        """The labels of the chosen samples, boxes and masks in the input's pixels; or None."""
        if self.source.labels is None:
            return None
        taken = self.source.labels.take(self.indices)
        return taken if self.preprocess is None else taken.placed(self._placement)

    def name(self, index: int) -> str:
        """Return how messages and reports name a sample: a path, or a path and an index."""
        return self.source.name(int(self.indices[index]))

    @property
    def is_pixels(self) -> bool:
        """Whether the samples are images, so that the NPU is fed uint8 pixels."""
        return self.preprocess is not None

    def feeds(self, index: int) -> dict[str, Array]:
        """Return what ONNX Runtime is fed: input name -> array of the input's shape.

        Images become float32, tensors what the inputs take, see ``fitted_tensor``. Raises
        SamplesError for a corrupt image, and for a tensor with NaN or that does not fit.
        """
        rows = [self._row(source_index) for source_index in self._members(index)]
        return {name: _joined([row[name] for row in rows]) for name in self.inputs}

    def npu_feeds(self, index: int) -> dict[str, Array]:
        """Return what the NPU is fed: uint8 (1, H, W, C) pixels, or the tensors as in ``feeds``.

        Mean and std are inside the NPU's model for pixels, see ``npu_preprocess``.
        """
        if self.npu_preprocess is None:
            return self.feeds(index)
        pixels = self._pixels(self.npu_preprocess, int(self.indices[index]))
        return {self._only_input: pixels[np.newaxis]}

    def picture(self, index: int) -> Pixels | None:
        """Return what the model gets of an image, uint8 (H, W, 1) or (H, W, 3) RGB, or None."""
        if self.preprocess is None:
            return None
        pixels = self._pixels(self.preprocess, int(self.indices[index]))
        return pixels[..., ::-1] if self.preprocess.color == "bgr" else pixels

    def original(self, index: int) -> Pixels | None:
        """Return an image as its source holds it, uint8 (H, W, 1), (H, W, 3) RGB or RGBA, or None.

        Raises SamplesError.
        """
        if not isinstance(self.source, ImageSource):
            return None
        return self.source.image(int(self.indices[index]))

    def placement(self, index: int) -> ImagePlacement:
        """Return where the image of a sample lies in the model's input. Raises SamplesError."""
        return self._placement(int(self.indices[index]))

    @property
    def npu_preprocess(self) -> Preprocess | None:
        """The preprocess whose mean and std go inside the NPU's model; None where none do.

        The toolkit takes axis 1 for the channels, so a model with channels last is fed tensors.
        """
        preprocess = self.preprocess
        if preprocess is None or not preprocess.is_planar(self.inputs[self._only_input]):
            return None
        return preprocess

    def take(self, count: int, seed: int = 0) -> Samples:
        """Return ``count`` samples by a seeded choice, stratified by label or spread evenly."""
        strata = self.labels.strata() if self.labels is not None else None
        chosen = choose(len(self), count, seed, strata)
        return replace(self, indices=self.indices[chosen])

    def first(self, count: int | None) -> Samples:
        """Return the first ``count`` samples, all of them for None: those of a stream in a row."""
        return replace(self, indices=self.indices[:count])

    def in_order_of(self, names: Sequence[str]) -> Samples:
        """Return the samples with their classes in the order of a model's names, where they fit."""
        source, labels = self.source, self.source.labels
        if labels is None or not labels.names or isinstance(source, DerivedSource):
            return self
        ordered = in_order_of(labels, names)
        if ordered is labels or not is_dataclass(source):
            return self
        relabelled: Source = replace(source, labels=ordered)
        return replace(self, source=relabelled)

    def grouped(self) -> Samples:
        """Return whole batches, each of other samples; themselves where a batch is one sample."""
        if self.batch == 1 or self.pool is not None:
            return self
        return replace(self, indices=self.indices[:: self.batch], pool=self.indices)

    def split(self, count: int, seed: int = 0) -> tuple[Samples, Samples]:
        """Return all but ``count`` samples, and those, which are the choice of ``take``."""
        taken = self.take(count, seed)
        rest = np.setdiff1d(self.indices, taken.indices)
        return replace(self, indices=rest), taken

    def digest(self) -> str:
        """Return the hex SHA-256 of content, labels, preprocess and inputs; files are read once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        options = None if self.preprocess is None else asdict(self.preprocess)
        inputs = {name: list(shape) for name, shape in self.inputs.items()}
        labels = self.labels
        names = labels and labels.names_digest()
        digest.update(json.dumps([options, inputs, names], sort_keys=True).encode())
        for index, source_index in enumerate(self.indices):
            label = labels and labels.digest(index)
            content = self.source.content_digest(int(source_index))
            digest.update(f"{label} {content}\n".encode())
        for source_index in () if self.pool is None else self.pool:
            digest.update(f"{self.source.content_digest(int(source_index))}\n".encode())
        return digest.hexdigest()

    @property
    def _only_input(self) -> str:
        return next(iter(self.inputs))

    def _placement(self, source_index: int) -> ImagePlacement:
        """Return where the image of a sample of the source lies in the model's input."""
        assert isinstance(self.source, ImageSource) and self.preprocess is not None
        size = self.source.size(source_index)
        return placement(self.preprocess.resize, size, self.preprocess.size)

    def _members(self, index: int) -> list[int]:
        """Return the samples of the source that are fed together, a sample's own first."""
        pool = self.indices if self.pool is None else self.pool
        if self.batch == 1:
            return [int(self.indices[index])]
        first = int(np.flatnonzero(pool == self.indices[index])[0])
        return [int(pool[(first + step) % len(pool)]) for step in range(self.batch)]

    def _row(self, source_index: int) -> dict[str, Array]:
        """Return one sample of the source for every input, with a batch axis of 1."""
        if self.preprocess is None:
            return self._tensors(source_index)
        values = self.preprocess.normalised(self._pixels(self.preprocess, source_index))
        # the same shape, unless the option says that the input's shape does not tell the order
        name = self._only_input
        return {name: values.reshape(row_shape(self.inputs[name], self.batch))}

    def _pixels(self, preprocess: Preprocess, source_index: int) -> Pixels:
        assert isinstance(self.source, ImageSource)
        try:
            return preprocess.pixels(self.source.image(source_index))
        except SamplesError as error:
            name = self.source.name(source_index)
            if name in error.diagnostic.text:
                raise
            raise SamplesError(f"{name}: {error.diagnostic.text}", error.diagnostic.hint) from error

    def _tensors(self, source_index: int) -> dict[str, Array]:
        assert isinstance(self.source, TensorSource)
        named = self.source.tensors(source_index)
        if len(named) == len(self.inputs) == 1:
            named = {self._only_input: next(iter(named.values()))}
        sample = self.source.name(source_index)
        return {
            name: fitted_tensor(
                named[name], row_shape(shape, self.batch), name, sample, self.types.get(name)
            )
            for name, shape in self.inputs.items()
        }


def _joined(rows: list[Array]) -> Array:
    """The rows of a batch; a single number has no axis to be joined along, and is of the first."""
    return np.concatenate(rows) if rows[0].ndim else rows[0]


def open_samples(
    path: Path,
    inputs: Mapping[str, Shape],
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING,
    count: int | None = None,
    seed: int = 0,
    completed: Callable[[TensorSource], TensorSource] = lambda source: source,
    types: InputTypes = NO_TYPES,
) -> Samples:
    """Open samples for a model with these inputs (name -> fixed shape) and their types.

    A sample is one row of inputs with a batch above 1, see Samples, or a whole batch of tensors.
    ``completed`` adds to tensors what they do not hold, such as the states of a stream.
    The first sample is read, so that what does not fit the model shows at once. Raises
    SamplesError or OptionError.
    """
    samples = bind_source(open_source(path), path, inputs, preprocessing, completed, types)
    chosen = samples if count is None else samples.take(count, seed)
    chosen.feeds(0)
    return chosen


def bind_source(
    source: Source,
    path: Path,
    inputs: Mapping[str, Shape],
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING,
    completed: Callable[[TensorSource], TensorSource] = lambda source: source,
    types: InputTypes = NO_TYPES,
) -> Samples:
    """Return all samples of a source for a model, as ``open_samples``; messages name ``path``.

    Raises SamplesError or OptionError.
    """
    preprocess: Preprocess | None = None
    batch = batch_of(source, inputs)
    if isinstance(source, ImageSource):
        rows = {name: row_shape(shape, batch) for name, shape in inputs.items()}
        preprocess = preprocess_for(rows, path, preprocessing)
    elif isinstance(source, TensorSource):
        _check_tensor_options(path, preprocessing)
        source = completed(source)
        _check_names(source, inputs, path)
    indices = np.arange(len(source), dtype=np.int64)
    return Samples(source, dict(inputs), preprocess, indices, batch, types=types)


def _check_tensor_options(path: Path, preprocessing: Preprocessing) -> None:
    if any(preprocessing.mean) or any(value != 1 for value in preprocessing.std):
        raise OptionError(
            f"{option('mean')} and {option('std')} are for images, but {path} holds tensors, "
            "which are fed as they are",
            "leave both out, or give uint8 images",
        )


def _check_names(source: TensorSource, inputs: Mapping[str, Shape], path: Path) -> None:
    names = set(source.tensors(0))
    if names == set(inputs) or len(names) == len(inputs) == 1:
        return
    shown = ", ".join(sorted(names - {""})) or "one without a name"
    raise SamplesError(
        f"{path}: holds the arrays {shown}, but the model's inputs are {', '.join(inputs)}",
        "save an .npz with an array for each input, under the input's name; of a stream the frames "
        "alone, as the model gives its states",
    )
