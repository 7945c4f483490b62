"""The task's metric as a judge of quantized candidates, where calibration samples have labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric, bind_metric
from ...accuracy.runners import own_rows
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic
from ...core.errors import ModelError, OptionError, SamplesError
from ...core.session import Session
from ...core.types import Array
from ...quantize.trials.method_selection import TaskMetric


def judge_for(
    model: ModelProto, held_out: Samples | None, metric: BoundMetric | str
) -> tuple[TaskMetric | None, tuple[Diagnostic, ...]]:
    """Return the metric of the held-out samples; None where they have no labels, or none fits.

    It is tried on the first sample with every label; a warning says what does not fit. Raises
    OptionError for a metric that does not exist.
    """
    if held_out is None or held_out.labels is None:
        return None, ()
    scoring = bind_metric(metric) if isinstance(metric, str) else metric
    measure, labels = scoring.metric, held_out.labels

    def score(index: int, outputs: Sequence[Array]) -> float:
        rows = scoring.read([row[np.newaxis] for row in own_rows(outputs, held_out)])
        label = labels.take(np.array([index]))
        return float(measure.measure(measure.predict(rows), label).scores[0])

    outputs = Session(model).run(held_out.feeds(0))
    try:
        for index in range(len(held_out)):
            score(index, outputs)
    except (ModelError, OptionError, SamplesError) as error:
        text = "the labels of the calibration samples did not help to choose a method: "
        hint = (
            error.diagnostic.hint or f"give labels that {measure.name} fits, or unlabelled samples"
        )
        return None, (Diagnostic("calibration-labels", text + error.diagnostic.text, hint),)
    return TaskMetric(measure.name, score, measure.lower_is_better), ()
