"""Run a ``.rknn`` on a board over samples: pixels or tensors in, native numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..calibration_data.samples import Samples
from ..core.diagnostics import option
from ..core.errors import ModelError
from ..core.progress import SILENT, Progress
from ..core.results.board_figures import BoardOutput, BoardTensor, LoadedModel
from ..core.types import Array
from .runners import collect, sample_rows

_IMAGE_AXES = 4


class Inferring(Protocol):
    """A session with a board on which a model is loaded."""

    def infer(self, inputs: Sequence[Array]) -> Sequence[BoardOutput]:
        """Return the outputs of one run for the inputs in the model's order."""
        ...


@dataclass(frozen=True)
class BoardRunner:
    """The runner of the model that is ``loaded`` on a board; it takes ``rows`` samples together.

    ``names`` are those of the model's inputs in its order.
    """

    session: Inferring
    loaded: LoadedModel
    names: Sequence[str]
    rows: int = 1

    def __call__(self, samples: Samples, *, progress: Progress = SILENT) -> list[Array]:
        """Return the outputs of all samples, float32 (N, ...), in the model's order.

        Raises ModelError where the board's inputs are others than those of the samples.
        """
        fed = samples.grouped()
        runs = (self.run(fed.npu_feeds(index)) for index in range(len(fed)))
        names = [output.name for output in self.loaded.outputs]
        return sample_rows(collect(runs, names, len(fed), progress), samples)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Return the outputs (1, ...) of one sample, or of a whole batch, in float32.

        Raises ModelError where the board's inputs are others.
        """
        tensors = self.loaded.inputs
        if len(tensors) != len(self.names):
            raise ModelError(
                f"the model has the inputs {', '.join(self.names)}, and on the board "
                f"{', '.join(tensor.name for tensor in tensors) or 'none'}",
                "give the .rknn that was made of this model",
            )
        inputs = [
            _as_taken(feeds.get(tensor.name, feeds[name]), tensor, self.rows)
            for name, tensor in zip(self.names, tensors, strict=True)
        ]
        outputs = [
            _planar(real_values(output), tensor)
            for output, tensor in zip(self.session.infer(inputs), self.loaded.outputs, strict=True)
        ]
        return outputs if self.rows == 1 else [output[:1] for output in outputs]


def real_values(output: BoardOutput) -> Array:
    """Return the real values of an output in float32.

    >>> real_values(BoardOutput(np.array([-128, 4], np.int8), scale=0.5, zero_point=2))
    array([-65.,   1.], dtype=float32)
    """
    values = output.array.astype(np.float32)
    if output.scale is None:
        return values
    return (values - np.float32(output.zero_point or 0)) * np.float32(output.scale)


def _as_taken(feed: Array, tensor: BoardTensor, rows: int) -> Array:
    """Return a feed as the runtime takes it: images with their channels last, as pixels have them.

    A model of several rows gets the sample in each, as in the simulator. Raises ModelError where
    the shape is another.
    """
    is_planar = feed.dtype != np.uint8 and feed.ndim == _IMAGE_AXES and tensor.format == "NHWC"
    turned = feed.transpose(0, 2, 3, 1) if is_planar else feed
    repeated = turned if rows == 1 else np.repeat(turned, rows, axis=0)
    if _long_axes(repeated.shape) != _long_axes(tensor.shape):
        raise ModelError(
            f"input {tensor.name!r} has the shape {tuple(tensor.shape)} on the board, and the "
            f"samples give {repeated.shape}",
            f"give the .rknn that was made of this model, with {option('size')} as it was built",
        )
    return np.ascontiguousarray(repeated).reshape(tensor.shape)


def _long_axes(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length != 1]


def _planar(values: Array, tensor: BoardTensor) -> Array:
    """Return an output with its channels first, as the ONNX model has them."""
    if tensor.format == "NHWC" and values.ndim == _IMAGE_AXES:
        return values.transpose(0, 3, 1, 2)
    return values
