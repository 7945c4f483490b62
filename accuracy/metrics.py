"""Scores of single samples, so that two models can be compared sample by sample."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ModelError, OptionError, SamplesError

Array = NDArray[Any]
Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


_Z = 1.959963984540054  # 97.5 % of the normal distribution lie below

# What code that somebody else wrote for one model may raise.
_USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Metric:
    """``score(outputs, labels) -> (N,)``: one value a sample, whose mean is the metric.

    ``outputs`` is the list of the model's outputs, each (N, ...).
    """

    name: str
    score: Callable[[Sequence[Array], Labels], Scores]
    lower_is_better: bool = False


def top_k(outputs: Array, labels: Labels, k: int) -> Scores:
    """1.0 where the label is among the k largest of (N, classes) outputs, else 0.0; (N,).

    Of equal outputs the first counts as the larger, as ``argmax`` has it. Axes of length 1 are
    dropped. Raises SamplesError when outputs and labels do not match, OptionError for a k above
    the number of classes, ModelError for NaN.

    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]]), np.array([1, 2]), k=1).tolist()
    [1.0, 0.0]
    """
    scores = class_scores(outputs)
    classes = scores.shape[1]
    _check_labels(labels, len(scores), classes)
    if not 1 <= k <= classes:
        raise OptionError(
            f"top{k} of {classes} classes says nothing", "use --metric top1 for so few classes"
        )
    of_label = scores[np.arange(len(labels)), labels][:, np.newaxis]
    earlier = np.arange(classes) < labels[:, np.newaxis]
    rank = ((scores > of_label) | ((scores == of_label) & earlier)).sum(axis=1)
    hits: Scores = (rank < k).astype(np.float64)
    return hits


def agreement(a: Array, b: Array) -> Scores:
    """1.0 where two models' (N, classes) outputs have the same largest class, else 0.0; (N,).

    Raises SamplesError when the shapes differ or the outputs are not (N, classes).

    >>> agreement(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.0, 9.0], [1.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    first, second = class_scores(a), class_scores(b)
    if first.shape != second.shape:
        raise SamplesError(
            f"outputs of the shapes {first.shape} and {second.shape} cannot be compared",
            "run both models on the same samples",
        )
    same: Scores = (first.argmax(axis=1) == second.argmax(axis=1)).astype(np.float64)
    return same


def class_scores(outputs: Array) -> Array:
    """(N, classes) from an output that may have further axes of length 1, such as (N, C, 1, 1)."""
    long = [axis for axis in range(1, outputs.ndim) if outputs.shape[axis] != 1]
    if outputs.ndim < 2 or len(long) > 1 or 0 in outputs.shape:
        raise SamplesError(
            f"the output of shape {outputs.shape} is not (N, classes)",
            "top1, top5 and agreement are for classifiers; give --metric package.module:function",
        )
    scores = outputs.reshape(len(outputs), -1)
    if np.isnan(scores).any():
        raise ModelError("the outputs hold NaN, so they have no order", "check the model's outputs")
    return scores


def find_metric(name: str) -> Metric:
    """A metric of the table, or ``package.module:function`` with the signature of Metric.score.

    The function may carry an attribute ``lower_is_better``. Raises OptionError for an unknown one.
    """
    if name in METRICS:
        return METRICS[name]
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise OptionError(
            f"the metric {name!r} is not known",
            f"use {', '.join(METRICS)} or package.module:function",
        )
    try:
        function = getattr(importlib.import_module(module), attribute)
    except _USER_ERRORS as error:
        raise OptionError(
            f"the metric {name!r} cannot be imported: {error}", "check PYTHONPATH and the name"
        ) from error
    if not callable(function):
        raise OptionError(
            f"the metric {name!r} is no function but {type(function).__name__}",
            "name a function(outputs, labels) that returns one number a sample",
        )
    return Metric(name, _guarded(name, function), bool(getattr(function, "lower_is_better", False)))


def _guarded(
    name: str, function: Callable[[Sequence[Array], Labels], Scores]
) -> Callable[[Sequence[Array], Labels], Scores]:
    """The user's function, whose errors are told as the user's."""

    def score(outputs: Sequence[Array], labels: Labels) -> Scores:
        try:
            return function(outputs, labels)
        except _USER_ERRORS as error:
            raise OptionError(
                f"the metric {name!r} failed: {type(error).__name__}: {error}",
                "it is called as function(outputs, labels), each output of shape (N, ...)",
            ) from error

    return score


def score_samples(metric: Metric, outputs: Sequence[Array], labels: Labels) -> Scores:
    """The metric's value of each sample, float64 (N,). Raises SamplesError or OptionError."""
    scores = np.asarray(metric.score(outputs, labels), dtype=np.float64)
    if scores.shape != labels.shape or not np.isfinite(scores).all():
        raise OptionError(
            f"the metric {metric.name!r} gave {scores.shape} values for {len(labels)} samples, "
            f"{int((~np.isfinite(scores)).sum())} of them NaN or infinite",
            "it must return one finite number a sample",
        )
    return scores


def _check_labels(labels: Labels, count: int, classes: int) -> None:
    if labels.shape != (count,):
        raise SamplesError(
            f"labels of shape {labels.shape} for the outputs of {count} samples",
            "give one label a sample",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise SamplesError(
            f"the labels range from {labels.min()} to {labels.max()}, "
            f"but the model has {classes} classes (0 to {classes - 1})",
            "check the class folders or the labels; is there a background class?",
        )


def _first_output_top_k(k: int) -> Callable[[Sequence[Array], Labels], Scores]:
    return lambda outputs, labels: top_k(outputs[0], labels, k)


METRICS: Mapping[str, Metric] = {
    "top1": Metric("top1", _first_output_top_k(1)),
    "top5": Metric("top5", _first_output_top_k(5)),
}


def proportion_interval(value: float, samples: int) -> tuple[float, float]:
    """95 % Wilson interval of a share, such as top-1 accuracy, seen in so many samples.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22,
    1927. It is scipy.stats.binomtest(...).proportion_ci(method="wilson"), whose import takes longer
    than the rest of a check of a small model.

    >>> low, high = proportion_interval(0.9, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    share, spread = round(value * samples) / samples, _Z * _Z / samples
    centre = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))
