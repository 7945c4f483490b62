"""Warnings on how samples become inputs, given before minutes are spent on wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.preprocess.preprocess_audit import PreprocessAudit, audit_preprocess
from ...calibration_data.hygiene import sample_warnings
from ...calibration_data.preprocess import suspicious_scale
from ...calibration_data.preprocessing import Preprocessing
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import SamplesError
from ...core.progress import Progress
from ..caching.cached_tasks import TaskCache
from ..caching.stage_cache import unwatched
from ..options.check_options import MetricOptions
from ..recipes.recipe import Recipe
from .ready_model import ReadyModel

_CODES: Mapping[str, str] = {
    "color": "preprocess-color",
    "scale": "preprocess-scale",
    "mean-std": "preprocess-mean-std",
    "resize": "preprocess-resize",
    "layout": "preprocess-layout",
}
_TENSORS = "save the samples again in that form"


@dataclass(frozen=True)
class AuditTask:
    """What decides the result of an audit."""

    model: ModelProto
    samples: Samples
    metric: MetricOptions
    seed: int


def input_warnings(
    ready: ReadyModel,
    calib: Samples | None,
    evaluation: Samples,
    scoring: BoundMetric,
    recipe: Recipe,
    progress: Progress,
) -> tuple[Diagnostic, ...]:
    """Return the warnings on the samples, and what labelled ones say of the preprocess.

    See calibration_data/hygiene.py and preprocess_audit.py. Raises SamplesError or OptionError,
    also when labels and outputs do not fit, and SamplesError when the samples are fed wrongly.
    What comes before that is given to ``progress``, as is all that is returned.
    """
    of_options = option_warnings(recipe.preprocessing)
    of_samples = sample_warnings(calib, evaluation, recipe.run.seed)
    if evaluation.labels is None:
        return _announced(progress, (*of_options, *of_samples))
    audit = _audited(ready, evaluation, scoring, recipe, progress)
    if audit.subject == "scale":  # it has the very values to give
        of_options = ()
    before = _announced(progress, (*of_options, *of_samples))
    metric, images = scoring.metric.name, evaluation.preprocess is not None
    if "preprocess" not in recipe.run.allow:
        require_preprocess(audit, metric, images=images)
    return (*before, *_announced(progress, audit_warnings(audit, metric, images=images)))


def _announced(progress: Progress, warnings: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    for warning in warnings:
        progress.warn(warning)
    return warnings


def option_warnings(preprocessing: Preprocessing) -> tuple[Diagnostic, ...]:
    """Return the warnings that the options alone give."""
    text = suspicious_scale(preprocessing.mean, preprocessing.std)
    hint = f"give {option('mean')} and {option('std')} in 0..255"
    return (Diagnostic("preprocess-scale", text, hint),) if text else ()


def _audited(
    ready: ReadyModel,
    evaluation: Samples,
    scoring: BoundMetric,
    recipe: Recipe,
    progress: Progress,
) -> PreprocessAudit:
    """Return what the labels say, maybe from the cache. Raises CacheMiss where that only looks."""
    seed = recipe.run.seed
    task = AuditTask(ready.model, evaluation, recipe.metric, seed)

    def compute(_: Path) -> PreprocessAudit:
        return audit_preprocess(ready.model, evaluation, scoring, seed=seed, progress=progress)

    with unwatched():
        return TaskCache(recipe.stage_cache).run("audit", task, compute, {})


def require_preprocess(audit: PreprocessAudit, metric: str, *, images: bool) -> None:
    """Raise SamplesError where the model is near chance as it is fed, and clearly better else."""
    if not audit.is_wrong or audit.better is None:
        return
    changes = " or ".join(each.change for each in (audit.better, *audit.equals))
    advice = f"give {changes}" if images else _TENSORS
    if images and audit.equals:
        advice += ", whichever the model was trained with"
    raise SamplesError(
        f"the samples are fed wrongly: the original model's {metric} is {audit.value:.3f} on "
        f"{audit.samples} samples ({audit.chance:.3f} by chance), and "
        f"{audit.better.value:.3f} with {audit.better.change}",
        f"{advice}; to go on all the same, give {option('allow', ['preprocess'])}",
    )


def audit_warnings(audit: PreprocessAudit, metric: str, *, images: bool) -> tuple[Diagnostic, ...]:
    """Return the one warning that an audit gives rise to, none when all is well."""
    score = f"the original model's {metric} is {audit.value:.3f} on {audit.samples} samples"
    if audit.better is not None:
        text = f"{score}, and {audit.better.value:.3f} with {audit.better.change}"
        advice = f"give {audit.better.change}" if images else _TENSORS
        if audit.equals:
            equals = " or ".join(f"{each.change} ({each.value:.3f})" for each in audit.equals)
            text += f"; the samples cannot tell that from {equals}"
            advice = "look up which one the model was trained with, and use that"
        return (Diagnostic(_CODES[audit.subject], text, advice),)
    if audit.hint is not None:
        text = (
            f"{score}, and {audit.hint.value:.3f} with {audit.hint.change}, but they are too few "
            "to tell which is right"
        )
        advice = f"give more labelled samples with {option('eval')}"
        return (Diagnostic("preprocess-undecided", text, advice),)
    if audit.at_chance:
        text = f"{score}, which labels in any order would give"
        order = "is the order of the labels that of the model's classes?"
        tried = "no other setting that was tried is clearly better"
        advice = f"{order} {tried if images else 'are the tensors made as in training?'}"
        return (Diagnostic("preprocess-chance", text, advice),)
    return ()
