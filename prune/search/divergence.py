"""The distance of the outputs of a smaller model from the original's, on held-out samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from ...core.session import Session
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.types import Array, Feeds, Float64

# positions in every four samples that are held out: none serves for both
RANKING, JUDGING = (1, 3), (2,)
_EVERY = 4
_MOST = 64


def divergence(reference: Sequence[Array], outputs: Sequence[Array]) -> float:
    """Return the distance of outputs from a reference: KL for class scores, else error / variance.

    Each argument has one stacked array (samples, ...) per model output, over which it is summed.

    >>> logits = np.array([[2.0, 0.0]])
    >>> divergence([logits], [logits])
    0.0
    """
    return float(
        np.sum([_output_divergence(a, b) for a, b in zip(reference, outputs, strict=True)])
    )


def _output_divergence(reference: Array, output: Array) -> float:
    reference, output = reference.astype(np.float64), output.astype(np.float64)
    if reference.ndim == 2 and reference.shape[1] > 1:
        p, q = _log_probabilities(reference), _log_probabilities(output)
        # NaN stays NaN, which max() would make 0
        return float(np.maximum(0.0, (np.exp(p) * (p - q)).sum(axis=1).mean()))
    return _relative_error(reference, output)


def _relative_error(reference: Array, output: Array) -> float:
    reference, output = reference.astype(np.float64), output.astype(np.float64)
    error = np.mean((reference - output) ** 2)
    return float(error / (np.var(reference) + 1e-12))


def _log_probabilities(scores: Array) -> Float64:
    """Return the log probabilities of logits or probabilities (samples, classes)."""
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        return np.asarray(np.log(np.maximum(scores, 1e-7)), dtype=np.float64)
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(shifted - log_sum, dtype=np.float64)


def likeness(reference: Sequence[Array], outputs: Sequence[Array]) -> tuple[str, float]:
    """Return the name and the value, from 0 to 1, of a measure of the outputs' likeness.

    ``agreement``, the share of equal first classes, when the first output has rows of scores or of
    probabilities; else ``cosine``, the mean cosine similarity of the least similar output.

    >>> scores = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> likeness([scores], [scores[:, ::-1]])
    ('agreement', 0.0)
    """
    first, other = reference[0], outputs[0]
    if is_classes(first):
        return "agreement", float((first.argmax(-1) == other.argmax(-1)).mean())
    return "cosine", min(_cosine(a, b) for a, b in zip(reference, outputs, strict=True))


def is_classes(output: Array) -> bool:
    """Return whether an output (samples, ...) holds scores of classes along its last axis."""
    if output.ndim < 2 or output.shape[-1] < 2 or output.dtype.kind != "f":
        return False
    return output.ndim == 2 or bool(
        (output >= 0).all() and np.allclose(output.sum(axis=-1), 1, atol=1e-2)
    )


def _cosine(reference: Array, output: Array) -> float:
    a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (reference, output))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    alike = np.einsum("ij,ij->i", a, b) / np.maximum(lengths, 1e-12)
    return float(np.where(lengths > 0, alike, (a == b).all(axis=1)).mean())


def error_on(model: ModelProto, samples: Iterable[Feeds]) -> Callable[[ModelProto], float]:
    """Return a function that gives the squared error of a model's outputs from those of ``model``.

    Over the variance of each output, and summed over the outputs. Of class scores too: a few
    samples decide on a divergence of their probabilities, and all on this.
    """
    reference = Session(model).stacked(samples)

    def error(other: ModelProto) -> float:
        pairs = zip(reference, Session(other).stacked(samples), strict=True)
        return float(np.sum([_relative_error(a, b) for a, b in pairs]))

    return error


@dataclass(frozen=True)
class SampleSplit:
    """The samples without those that are held out (at most 64), or these ``alone``; read anew.

    ``held_out`` has their positions in every four when these are shuffled.

    >>> list(SampleSplit(range(4), JUDGING)), list(SampleSplit(range(4), JUDGING, alone=True))
    ([0, 1, 3], [2])
    """

    samples: Iterable[Feeds]
    held_out: tuple[int, ...]
    alone: bool = False

    def __iter__(self) -> Iterator[Feeds]:
        end = _EVERY * _MOST // len(self.held_out)
        for index, feeds in enumerate(self.samples):
            is_held_out = index < end and shuffled_position(index, _EVERY) in self.held_out
            if is_held_out == self.alone:
                yield feeds
