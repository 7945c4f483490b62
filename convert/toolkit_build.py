"""One build by the toolkit: its settings, and the rules that it must not use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ..core.diagnostics import Diagnostic
from ..core.files import real_path
from ..core.graphs.graph import Graph
from ..core.graphs.model import save_model
from ..core.progress import SILENT, Progress
from ..core.types import Shape
from .chips.targets import Target
from .compiled_model import FUSING_LEVEL
from .handover import ModelInput, calibration_feeds
from .lowering.average_pooling import with_finer_means
from .lowering.channel_padding import needs_whole_blocks, with_whole_blocks
from .lowering.hybrid import with_fused_tensors, with_measured_tensors
from .lowering.interface import output_casts, with_toolkit_interface
from .lowering.qdq_lowering import lower_qdq
from .lowering.scale_probe import needs_lowering
from .lowering.sloped_activations import with_scaled_slopes
from .request import ToolkitSettings
from .toolkit.failures import ToolkitLooped, ToolkitRaised
from .toolkit.job import BuildResult, RawInput, ToolkitJob, ToolkitPlan, run_job

# of a number format, where the toolkit's documentation and its code have two; this one is in both
# versions, and 20 dB nearer with 2.5.0 than plain w16a16i with 2.3.2
_TOOLKIT_NAMES = {"w16a16i": "w16a16i_dfp"}
_SHOWN = 5
_RULES_LIMIT = 3  # optimisation rules switched off before giving up


@dataclass(frozen=True)
class ToolkitBuild:
    """One build by the toolkit, once what was asked for has been checked.

    ``model`` names the file, ``loaded`` is what it holds. The samples lie in ``folder`` already.
    """

    model: Path
    loaded: ModelProto
    target: Target
    quantization: str
    dtype: str
    plan: ToolkitPlan | None  # for the hybrid quantization
    level: int | None  # of the toolkit's graph optimisation; None to try several ways
    inputs: tuple[ModelInput, ...]
    calibrated: int  # samples in dataset.txt
    simulated: int
    folder: Path
    toolkit: ToolkitSettings
    progress: Progress = SILENT
    disabled: tuple[str, ...] = ()  # rules of the toolkit's graph optimisation
    config: Mapping[str, Any] = field(default_factory=dict)  # further settings of the toolkit
    sparse: bool = False  # leave the zeros of 2:4 sparse weights out
    batch: int = 1  # samples that the .rknn takes together
    input_sets: tuple[Mapping[str, Shape], ...] = ()  # shapes of inputs, the largest first


def build(task: ToolkitBuild) -> tuple[BuildResult, tuple[Diagnostic, ...]]:
    """Build and simulate; return the result and warnings.

    An optimisation rule that raises, or runs without end, is switched off, up to three of them.
    """
    model = _model_file(task)
    failed: list[str] = []
    while True:
        disabled = [*task.disabled, *failed]
        job = _job(task, model, disabled)
        try:
            built = run_job(
                job,
                task.folder,
                label=f"{task.model.name} for {task.target.name}",
                limits=task.toolkit.limits,
                python=task.toolkit.python,
                progress=task.progress,
            )
        except (ToolkitLooped, ToolkitRaised) as error:
            rule = error.rule
            if rule is None or rule in disabled or len(failed) == _RULES_LIMIT:
                raise
            failed.append(rule)
        else:
            warnings = (*map(_rule_warning, failed), *_not_carried(job, built))
            return built, (*_left_out(task.loaded), *warnings)


def _model_file(task: ToolkitBuild) -> Path:
    """What the toolkit is given: the file itself, or the form of it that the toolkit takes."""
    model = with_toolkit_interface(task.loaded)
    if task.dtype == "w8a16" and needs_whole_blocks(model):
        model = with_whole_blocks(model)
    if task.quantization == "qdq":
        model = with_finer_means(model, has_several_shapes=len(task.input_sets) > 1)
        if task.level == FUSING_LEVEL:
            model = with_scaled_slopes(model)
        if needs_lowering(task.toolkit.python):
            model = lower_qdq(model)
    if model is task.loaded:
        return real_path(task.model)
    path = task.folder / "lowered" / task.model.name
    save_model(model, path)
    return path


def _job(task: ToolkitBuild, model: Path, disabled: list[str]) -> ToolkitJob:
    calibrated = task.quantization not in {"qdq", "float16"}
    layouts = ["nhwc" if tensor.pixels else "nchw" for tensor in task.inputs]
    return ToolkitJob(
        model=str(model),
        config=_config(task, disabled),
        dataset="dataset.txt" if calibrated else None,
        plan=_toolkit_plan(task) if task.quantization == "hybrid" else None,
        inputs=tuple(
            RawInput(f"input{index}.raw", tensor.fed_dtype, tensor.fed_shape, layout)
            for index, (tensor, layout) in enumerate(zip(task.inputs, layouts, strict=True))
        ),
        count=task.simulated,
        processes=task.toolkit.processes,
        batch=task.batch,
        settings=task.config,
    )


def _toolkit_plan(task: ToolkitBuild) -> ToolkitPlan:
    """The plan in the toolkit's own names; what it leaves in float has the chip's type of 16 bits.

    That is what a quantized model has no scale for, whichever type it was meant to have.
    """
    assert task.plan is not None, "hybrid has a plan"
    wide = task.target.mixes_with
    kinds = {name: wide if kind == "float16" else kind for name, kind in task.plan.types.items()}
    types = {name: kind for name, kind in kinds.items() if kind is not None}
    plan = with_fused_tensors(task.loaded, replace(task.plan, types=types))
    return with_measured_tensors(task.loaded, plan, calibration_feeds(task.inputs, task.folder))


def _config(task: ToolkitBuild, disabled: list[str]) -> Mapping[str, Any]:
    config: dict[str, Any] = {"target_platform": task.target.name}
    if any(tensor.pixels for tensor in task.inputs):
        config["mean_values"] = [tensor.mean or _each(tensor, 0.0) for tensor in task.inputs]
        config["std_values"] = [tensor.std or _each(tensor, 1.0) for tensor in task.inputs]
    if task.level is not None:
        config["optimization_level"] = task.level
    if task.quantization not in {"qdq", "float16"}:
        hybrid = task.quantization == "hybrid"
        config["quantized_algorithm"] = "normal" if hybrid else task.quantization
        config["quantized_dtype"] = _TOOLKIT_NAMES.get(task.dtype, task.dtype)
    if task.input_sets:
        config["dynamic_input"] = [
            [list(shapes.get(tensor.name, tensor.shape)) or [1] for tensor in task.inputs]
            for shapes in task.input_sets
        ]
    if task.sparse:
        config["sparse_infer"] = True
    if disabled:
        config["disable_rules"] = list(disabled)
    return config


def _each(tensor: ModelInput, value: float) -> tuple[float, ...]:
    """The toolkit wants values for every input, one a channel, also for those it must not touch."""
    return (value,) * (tensor.shape[1] if len(tensor.shape) > 1 else 1)


def _not_carried(job: ToolkitJob, built: BuildResult) -> Iterator[Diagnostic]:
    """What the toolkit did not take over of a plan: it has joined or removed those tensors."""
    tensors = {*job.plan.ranges, *job.plan.types} if job.plan is not None else set()
    if lost := sorted(tensors - set(built.carried)):
        some = ", ".join(lost[:_SHOWN]) + (", ..." if len(lost) > _SHOWN else "")
        yield Diagnostic(
            "toolkit-plan",
            f"{len(lost)} of {len(tensors)} tensors of the plan are not known to the toolkit, "
            f"which decided on them itself: {some}",
            "nothing to do, unless the simulated figures are bad",
        )


def _left_out(model: ModelProto) -> Iterator[Diagnostic]:
    if casts := output_casts(Graph(model)):
        names = " and ".join(map(repr, casts))
        yield Diagnostic(
            "toolkit-output-type",
            f"what casts {names} to another integer is left out of the .rknn, as the toolkit "
            "cannot simulate it",
            "ask the runtime for the output's type; the values are the same",
        )


def _rule_warning(rule: str) -> Diagnostic:
    return Diagnostic(
        "toolkit-rule-disabled",
        f"the toolkit's optimisation rule {rule} fails on this model; it was switched off",
        "nothing to do; another version of the toolkit may build the model a little faster",
        subject=rule,
    )
