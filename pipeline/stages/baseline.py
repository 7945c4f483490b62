"""The original model in ONNX Runtime: what everything else is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...accuracy.compare import Comparison, compare
from ...accuracy.gates import min_retention_gate
from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.runners import measure_latency, run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic
from ...core.graphs.layers import macs_of
from ...core.graphs.model import model_bytes, parameter_count
from ...core.graphs.output_parts import OutputPart, parts_of
from ...core.results.model_figures import LatencyFigure, ModelRow
from ...core.types import Array
from ..figures.figures_of import accuracy_figure
from ..recipes.recipe import Recipe
from ..samples.bound_metric import bound_metric, naming
from ..samples.class_names import names_in
from ..samples.preprocess_warnings import input_warnings
from ..samples.ready_model import ReadyModel
from .stage_log import StageLog


@dataclass(frozen=True)
class Baseline:
    """The original model and what it gives on the samples that everything is compared on."""

    ready: ReadyModel
    calib: Samples | None
    evaluation: Samples
    outputs: list[Array]
    row: ModelRow
    scoring: BoundMetric
    seed: int
    warnings: tuple[Diagnostic, ...]
    parts: tuple[OutputPart, ...]

    @property
    def is_at_chance(self) -> bool:
        """Whether it scores what labels in any order would, so that nothing is left to retain."""
        return any(warning.code == "preprocess-chance" for warning in self.warnings)

    def digests(self) -> dict[str, str]:
        """Return the digests of the model and of the samples, for the manifest."""
        digests = {**self.ready.digests, "evaluation": self.evaluation.digest()}
        if self.calib is not None:
            digests["calibration"] = self.calib.digest()
        return digests

    def compared(self, outputs: list[Array]) -> Comparison:
        """Return the comparison of this model with another form of it, by that one's outputs.

        Classes without names in the labels have those of the model's metadata.
        """
        labels = self.evaluation.labels
        labels = labels and labels.called(names_in(self.ready.original))
        return compare(self.outputs, outputs, labels, self.scoring, self.seed, self.parts)


def measure_baseline(
    ready: ReadyModel, calib: Samples | None, evaluation: Samples, recipe: Recipe, log: StageLog
) -> Baseline:
    """Run the original model in ONNX Runtime, first on a few samples to see how they are fed."""
    samples = recipe.samples.eval or recipe.samples.calib
    with log.stage("baseline") as progress:
        scoring = bound_metric(recipe.metric, ready.model, evaluation)
        with naming(samples):
            warnings = input_warnings(ready, calib, evaluation, scoring, recipe, progress)
        outputs = run_onnxruntime(ready.model, evaluation, progress=progress)
        with naming(samples):
            itself = compare(outputs, outputs, evaluation.labels, scoring, recipe.run.seed)
        accuracy = accuracy_figure(itself, "onnxruntime")
        row = replace(onnx_row("baseline", ready, evaluation), accuracy=accuracy)
    seed, parts = recipe.run.seed, parts_of(ready.model)
    base = Baseline(ready, calib, evaluation, outputs, row, scoring, seed, warnings, parts)
    limit, kept = recipe.gates.min_retention, itself.retention
    if limit is not None and kept and not (base.is_at_chance or scoring.metric.lower_is_better):
        min_retention_gate(kept, limit)  # a ratio to nothing is told now, not after the builds
    return base


def onnx_row(stage: str, ready: ReadyModel, samples: Samples, *, optimise: bool = True) -> ModelRow:
    """Return the row of a model of the user's, as fast as it is on this host."""
    return ModelRow(
        stage=stage,
        path=str(ready.path),
        bytes=model_bytes(ready.path),
        parameters=parameter_count(ready.original),
        macs=macs_of(ready.model),
        latency=(LatencyFigure("host", measure_latency(ready.model, samples, optimise=optimise)),),
    )
