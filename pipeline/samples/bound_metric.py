"""The metric of a recipe, bound to its model and to the labels it is to score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric, bind_metric
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ..options.check_options import MetricOptions


def bound_metric(options: MetricOptions, model: ModelProto, samples: Samples) -> BoundMetric:
    """Return the options' metric for this model. Raises OptionError for outputs it has not."""
    outputs = [output.name for output in model.graph.output]
    preprocess = samples.preprocess
    return bind_metric(
        options.metric,
        options.metric_option,
        options.metric_output,
        outputs,
        input_size=preprocess.size if preprocess is not None else _image_size(samples),
    )


def require_labels(
    path: Path, limit: float | None, scoring: BoundMetric, evaluation: Samples
) -> None:
    """Raise OptionError for a retention gate (``limit``) without labels.

    Raises SamplesError for labels of another kind than the metric's. ``path`` is that of the
    samples.
    """
    if evaluation.labels is None:
        if limit is not None:
            raise OptionError(
                f"{option('min-retention', limit)} cannot be checked: the samples of "
                f"{path} have no labels",
                f"give {option('eval')} a folder of class folders, a labels.csv, or an .npz with "
                "labels",
            )
        return
    if scoring.metric.kind is not None:
        with naming(path):
            evaluation.labels.require(scoring.metric.kind)


@contextmanager
def naming(samples: Path | None) -> Iterator[None]:
    """Say in an error which samples it is whose labels do not fit."""
    try:
        yield
    except SamplesError as error:
        if str(samples) in error.diagnostic.text:
            raise
        raise SamplesError(f"{samples}: {error.diagnostic.text}", error.diagnostic.hint) from error


def _image_size(samples: Samples) -> tuple[int, int] | None:
    """Return height and width of the first input of an image's shape, in either layout."""
    for shape in samples.inputs.values():
        if len(shape) == 4:
            return (shape[1], shape[2]) if shape[3] in (1, 3) else (shape[2], shape[3])
    return None
