"""What an attack reads of a classifier: the scores before its Softmax, and the label's margin."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from ...calibration_data.images.geometry import Pixels
from ...calibration_data.samples import Samples
from ...calibration_data.sources.labels import Classes
from ...core.graphs.graph import Graph
from ...core.session import Session
from ...core.streaming.tensor_stream import with_outputs
from ...core.types import Array, Float64
from ..metrics.classification import class_scores, top_k
from ..runners import collect, sample_rows
from .input_pixels import with_pixels

# operators through which an output is still its input, but for its shape and its rounding
_SAME = {"QuantizeLinear", "DequantizeLinear", "Identity", "Reshape", "Flatten", "Squeeze"}


class ScoredModel:
    """A classifier in ONNX Runtime that gives the scores of images, ``tensor`` of the model.

    ``samples`` say how pixels are fed. ``optimise`` is False for a quantized model.
    """

    def __init__(
        self, model: ModelProto, tensor: str, samples: Samples, *, optimise: bool = True
    ) -> None:
        whole = with_outputs(model, [tensor])
        self._session = Session(whole, optimise=optimise, keeps_scales=not optimise)
        self._tensor, self._samples = tensor, samples

    def scores(self, pixels: Pixels) -> Array:
        """Return the scores (N, classes) of images (N, H, W, C). Raises ModelError for NaN."""
        fed = with_pixels(self._samples, pixels)
        batches = fed.grouped()
        runs = (self._session.run(feeds, [self._tensor]) for feeds in batches)
        return class_scores(sample_rows(collect(runs, [self._tensor], len(batches)), fed)[0])


def label_margins(scores: Array, labels: Classes, k: int) -> Float64:
    """Return by how much the label's score is above what would leave it out of the k largest (N,).

    It is negative where the label is left out; of equal scores the first is the larger.

    >>> label_margins(np.array([[3.0, 1.0, 2.0]] * 2), np.array([0, 1]), k=1).tolist()
    [1.0, -2.0]
    """
    rows, others = np.arange(len(labels)), scores.astype(np.float64)
    of_label = others[rows, labels]
    others[rows, labels] = -np.inf
    margins: Float64 = of_label - np.partition(others, -k, axis=1)[:, -k]
    is_out = top_k(scores, labels, k) == 0
    margins[is_out] = np.minimum(margins[is_out], -np.finfo(np.float64).tiny)
    return margins


def score_tensor(model: ModelProto, output: str) -> str:
    """Return the tensor that an output's classes can be told by: that before a Softmax, or itself.

    Probabilities near 1 hardly change, and in int8 not at all, so that a search sees nothing: a
    model would look robust that is not.
    """
    producers = Graph(model).producers
    name = output
    while (node := producers.get(name)) is not None:
        if node.op_type == "Softmax" and node.input[0] in producers:
            return str(node.input[0])
        if node.op_type not in _SAME:
            break
        name = node.input[0]
    return output
