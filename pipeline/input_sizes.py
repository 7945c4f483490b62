"""Other sizes of an image input, and what the float model itself keeps in them.

A trial holds its result against the float model in the trial's own size. What counts is what is
left of the float model in the size that it has now, so the one is multiplied with the other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onnx import ModelProto

from ..accuracy.metrics.measurement import Measurement
from ..accuracy.metrics.metric import Metric
from ..accuracy.retention import retention_and_intervals
from ..accuracy.runners import run_onnxruntime
from ..core.diagnostics import option
from ..core.errors import OptionError, RockpressError
from ..core.graphs.model import load_structure
from ..core.results.tune_report import Setting
from .inputs import open_both
from .recipes.recipe import Recipe
from .recognition.model_view import view_of
from .samples.bound_metric import bound_metric
from .samples.class_names import names_in
from .samples.ready_model import ready_model
from .search.list_settings import setting_of, value_of
from .search.points import Failure, Outcome, Point

_SHARES = (0.875, 0.75)
_COARSEST = 32  # pixels: what most networks halve down to one
Range = tuple[float, float, float]


def other_sizes(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield 7/8 and 3/4 of a height and width, in steps that these have too, of 32 at most.

    >>> list(other_sizes((640, 640))), list(other_sizes((48, 192)))
    ([(544, 544), (480, 480)], [(32, 160), (32, 144)])
    """
    step = math.gcd(*size, _COARSEST)
    for share in _SHARES:
        height, width = (max(step, int(share * side) // step * step) for side in size)
        yield height, width


def size_values(recipe: Recipe) -> tuple[str, ...]:
    """Return the size of a model with a free image input, then the others that it can be run in.

    () where there is nothing to choose: the input is fixed, there are no labels to tell what a
    size costs, or the model can be made ready in no other. Raises ModelError.
    """
    size = recipe.shape.size
    image = view_of(load_structure(recipe.model), path=recipe.model).image
    if size is None or image is None or image.height or image.width or recipe.samples.eval is None:
        return ()
    sizes = [size, *(other for other in other_sizes(size) if _fits(recipe, other))]
    texts = (str(setting_of(each)) for each in dict.fromkeys(sizes))
    return tuple(texts) if len(sizes) > 1 else ()


def in_size(recipe: Recipe, setting: Setting) -> ModelProto:
    """Return the model of a recipe made ready in another size. Raises ModelError or OptionError."""
    height, width = value_of(setting)
    return ready_model(recipe.model, replace(recipe.shape, size=(height, width))).model


def _fits(recipe: Recipe, size: tuple[int, int]) -> bool:
    try:
        in_size(recipe, setting_of(size))
    except RockpressError:
        return False
    return True


def with_size(recipe: Recipe, listed: Sequence[Any]) -> Recipe:
    """Return a recipe that has a size where some are listed: its own, or the first of them.

    Raises OptionError where no labels tell what a size costs.
    """
    if not listed:
        return recipe
    if recipe.samples.eval is None:
        raise OptionError(
            "[tune] size: without labels it cannot be told what another size costs",
            f"give labelled samples with {option('eval')}",
        )
    return recipe if recipe.shape.size is not None else recipe.with_options(size=listed[0])


@dataclass
class SizedRetention:
    """Holds results in another size against the float model in that of the recipe."""

    recipe: Recipe
    _measured: dict[Any, tuple[Metric, Measurement]] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __call__(self, point: Point, samples: Mapping[str, Any], outcome: Outcome) -> Outcome:
        """Return an outcome on some samples with what is left of the model as it is."""
        size = value_of(point["size"])
        if size is None or isinstance(outcome, Failure) or outcome.retention is None:
            return outcome
        try:
            kept, low, high = self.float_retention(tuple(size), samples)
        except RockpressError as error:
            return Failure(error.message)
        return replace(
            outcome,
            retention=outcome.retention * kept,
            low=outcome.low * low,
            high=outcome.high * high,
        )

    def float_retention(self, size: tuple[int, int], samples: Mapping[str, Any]) -> Range:
        """Return what the float model keeps in a size, and the ends of the 95 % interval.

        Raises RockpressError.
        """
        if size == self.recipe.shape.size:
            return 1.0, 1.0, 1.0
        with self._lock:  # one at a time: others may wait for the same
            metric, base = self._measurement(None, samples)
            _, other = self._measurement(size, samples)
        kept, _ = retention_and_intervals(
            base,
            other,
            lower_is_better=metric.lower_is_better,
            perfect=metric.perfect,
            seed=self.recipe.run.seed,
        )
        if kept.value is None:
            raise OptionError(
                "the float model scores nothing, so no size can be held against it", ""
            )
        low, high = (kept.value if end is None else end for end in (kept.low, kept.high))
        return kept.value, low, high

    def _measurement(
        self, size: tuple[int, int] | None, samples: Mapping[str, Any]
    ) -> tuple[Metric, Measurement]:
        key = (size, *sorted(samples.items()))
        if key not in self._measured:
            sized = {} if size is None else {"size": size}
            self._measured[key] = measured(self.recipe.with_options(**samples, **sized))
        return self._measured[key]


def measured(recipe: Recipe) -> tuple[Metric, Measurement]:
    """Return what the float model scores on the labelled samples of a recipe, and the metric.

    Raises RockpressError.
    """
    ready = ready_model(recipe.model, recipe.shape)
    _, evaluation = open_both(ready, recipe)
    scoring = bound_metric(recipe.metric, ready.model, evaluation)
    outputs = run_onnxruntime(ready.model, evaluation)
    labels = evaluation.labels
    if labels is None:
        raise OptionError("the samples have no labels", f"give some with {option('eval')}")
    predictions = scoring.metric.predict(scoring.read(outputs))
    return scoring.metric, scoring.metric.measure(
        predictions, labels.called(names_in(ready.original))
    )
