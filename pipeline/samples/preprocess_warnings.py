"""Warnings on how samples become inputs, given before minutes are spent on wrong ones."""

from __future__ import annotations

from collections.abc import Mapping

from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.preprocess.preprocess_audit import PreprocessAudit, audit_preprocess
from ...calibration_data.hygiene import sample_warnings
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.progress import Progress
from .ready_model import ReadyModel

_CODES: Mapping[str, str] = {
    "color": "preprocess-color",
    "scale": "preprocess-scale",
    "mean-std": "preprocess-mean-std",
    "resize": "preprocess-resize",
    "layout": "preprocess-layout",
}
_TENSORS = "save the samples again in that form"


def input_warnings(
    ready: ReadyModel,
    calib: Samples | None,
    evaluation: Samples,
    scoring: BoundMetric,
    seed: int,
    progress: Progress,
) -> tuple[Diagnostic, ...]:
    """Return the warnings on the samples, and what labelled ones say of the preprocess.

    See calibration_data/hygiene.py and preprocess_audit.py. Raises SamplesError or OptionError,
    also when labels and outputs do not fit.
    """
    warnings = sample_warnings(calib, evaluation, seed)
    if evaluation.labels is None:
        return warnings
    audit = audit_preprocess(ready.model, evaluation, scoring, seed=seed, progress=progress)
    images = evaluation.preprocess is not None
    return (*warnings, *audit_warnings(audit, scoring.metric.name, images=images))


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
