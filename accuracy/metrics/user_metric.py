"""A metric of the user's own: any function that gives one number a sample, or a whole Metric."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ...calibration_data.sources.labels import Kind, Labels
from ...core.errors import OptionError
from .classification import TopK
from .measurement import Sums, means
from .metric import Metric, Outputs, Predictions
from .user_code import UserCode, guarded_class, read_only


@dataclass(frozen=True)
class UserMetric(Metric):
    """The mean of ``function(outputs, labels) -> (N,)`` over the samples.

    ``outputs`` is the list of the model's outputs, each (N, ...), or of those that the option
    metric-output names. ``labels`` are int64 (N,), float64 (N, D), or a sequence of N texts,
    boxes or masks. The function may carry the attributes ``lower_is_better``, and ``labels``
    (a kind of labels) where a table's texts are not class names.
    """

    path: str
    function: Callable[[Sequence[Any], Any], Any]
    lower_is_better: bool = False
    label_kind: Kind | None = None

    @property
    def name(self) -> str:
        return self.path

    def predict(self, outputs: Outputs) -> Predictions:
        """Return the outputs as they are; the function decodes them."""
        return _Rows(outputs)

    def agreement(self, first: Predictions, second: Predictions) -> float | None:
        """Return the share of samples with the same largest class, for an output of classes."""
        assert isinstance(first, _Rows) and isinstance(second, _Rows)
        classes = TopK()
        if not classes.fits(first.outputs):
            return None
        return classes.agreement(first.outputs[0], second.outputs[0])

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Call the function. Raises OptionError when it fails or gives other than one each."""
        assert isinstance(predictions, _Rows)
        kind = self.label_kind or ("class" if labels.kind == "text" else labels.kind)
        plain = labels.require(kind)
        hint = "it is called as function(outputs, labels), each output of shape (N, ...)"
        with UserCode(f"the metric {self.name!r} failed", hint):
            scores = self.function(read_only(predictions.outputs), read_only(plain))
            scores = np.asarray(scores, dtype=np.float64)
        if scores.shape != (len(labels),) or not np.isfinite(scores).all():
            raise OptionError(
                f"the metric {self.name!r} gave {scores.shape} values for {len(labels)} samples, "
                f"{int((~np.isfinite(scores)).sum())} of them NaN or infinite",
                "it must return one finite number a sample",
            )
        return means(scores)

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        return np.array2string(np.ravel(prediction[0])[:4], precision=3, threshold=4)


@dataclass(frozen=True)
class _Rows(Sequence[Any]):
    """Outputs (N, ...) by sample: what each output holds for it."""

    outputs: Outputs

    def __len__(self) -> int:
        return len(self.outputs[0])

    def __getitem__(self, index: Any) -> Any:
        return [output[index] for output in self.outputs]


def user_metric(name: str) -> Metric:
    """Import the metric ``package.module:function``, or a subclass of Metric.

    Raises OptionError when it cannot be imported, or is neither.
    """
    module, _, attribute = name.partition(":")
    with UserCode(f"the metric {name!r} cannot be imported", "check PYTHONPATH and the name"):
        function = getattr(importlib.import_module(module), attribute)
        if isinstance(function, type) and issubclass(function, Metric):
            return guarded_class(function, name)()
        kind = getattr(function, "labels", None)
        lower_is_better = bool(getattr(function, "lower_is_better", False))
        is_kind = kind is None or kind in get_args(Kind)
    if not callable(function):
        raise OptionError(
            f"the metric {name!r} is no function but {type(function).__name__}",
            "name a function(outputs, labels) that returns one number a sample",
        )
    if not is_kind:
        raise OptionError(
            f"the metric {name!r} asks for labels of the kind {kind!r}",
            f"its attribute labels is one of {', '.join(get_args(Kind))}",
        )
    return UserMetric(name, function, lower_is_better, kind)
