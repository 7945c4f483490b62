"""The forms of a detector that are compared, each in the simulator on the same frames."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rockpress.accuracy.compare import Comparison, compare
from rockpress.accuracy.runners import run_onnxruntime
from rockpress.convert.convert import convert
from rockpress.core.graphs.model import save_model
from rockpress.core.results.model_figures import RetentionFigure
from rockpress.pipeline.figures.figures_of import accuracy_figure, retention_figure
from rockpress.pipeline.recipes.recipe import Recipe, only_target
from rockpress.pipeline.run import run
from rockpress.pipeline.samples.bound_metric import bound_metric
from rockpress.pipeline.samples.ready_model import calibration_samples, ready_model
from rockpress.pipeline.tasks.converting import NpuFeeds, conversion_request


@dataclass(frozen=True)
class Form:
    """A way to int8: by rockpress, or by the ``toolkit``'s quantizer of this name.

    The model ends at the ``outputs``, or as it was exported. ``calib_count`` samples are for
    quantizers that take long.
    """

    name: str
    toolkit: str = ""
    outputs: tuple[str, ...] = ()
    calib_count: int | None = None


@dataclass(frozen=True)
class Agreement:
    """mAP50 with the float model's boxes as labels, and its retention with the 95 % interval.

    ``sqnr_db`` is that of the worst output, ``ms`` the estimate.
    """

    value: float
    retention: float | None
    low: float | None
    high: float | None
    sqnr_db: float
    ms: float | None


def agreement_of(form: Form, recipe: Recipe, work: Path) -> Agreement:
    """Return the figures of a form, measured where they are not in ``work`` yet."""
    file = work / f"{form.name}.json"
    if not file.is_file():
        asked = recipe.with_options(outputs=list(form.outputs))
        if form.outputs:
            asked = asked.with_options(metric_option={"head": "yolov8"})
        measured = _by_toolkit(form, asked, work) if form.toolkit else _by_rockpress(asked, work)
        file.write_text(json.dumps(asdict(measured)))
    return Agreement(**json.loads(file.read_text()))


def _by_rockpress(recipe: Recipe, work: Path) -> Agreement:
    (target,) = run(recipe, work / "build").targets
    row = target.model("rknn")
    assert row is not None and row.accuracy is not None, "there is no result"
    return _agreement(row.accuracy.value, target.retention, row.latency[0].ms)


def _by_toolkit(form: Form, recipe: Recipe, work: Path) -> Agreement:
    ready = ready_model(recipe.model, recipe.shape)
    few = {} if form.calib_count is None else {"calib_count": form.calib_count}
    calib = calibration_samples(ready, recipe.with_options(**few))
    assert recipe.samples.eval is not None and calib is not None
    evaluation = ready.samples(recipe.samples.eval, recipe.preprocessing)
    model = work / f"{form.name}.onnx"
    save_model(ready.model, model)
    target, preprocess = only_target(recipe, "convert"), evaluation.npu_preprocess
    request = replace(
        conversion_request(recipe.toolkit, model, None, target, preprocess),
        quantization=form.toolkit,
        calibration=NpuFeeds(calib),
        simulate=NpuFeeds(evaluation),
    )
    conversion = convert(request)
    outputs = list(conversion.outputs or ())
    scoring = bound_metric(recipe.metric, ready.model, evaluation)
    before = run_onnxruntime(ready.model, evaluation)
    comparison: Comparison = compare(before, outputs, evaluation.labels, scoring, recipe.run.seed)
    accuracy = accuracy_figure(comparison, "rknn-simulator")
    assert accuracy is not None, "there are no labels"
    ms = conversion.latency.ms if conversion.latency else None
    return _agreement(accuracy.value, retention_figure(comparison), ms)


def _agreement(value: float, retention: RetentionFigure, ms: float | None) -> Agreement:
    interval = retention.value, retention.low, retention.high
    return Agreement(value, *interval, retention.sqnr_db, ms)
