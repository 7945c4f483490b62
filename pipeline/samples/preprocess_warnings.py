"""Warnings on how samples become inputs, told before minutes are spent on wrong ones."""

from __future__ import annotations

from collections.abc import Mapping

from ...accuracy.metrics.metric_table import Scoring
from ...accuracy.preprocess.preprocess_audit import PreprocessAudit, Suggestion, audit_preprocess
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


def sample_notices(
    ready: ReadyModel,
    calib: Samples | None,
    evaluation: Samples,
    scoring: Scoring,
    seed: int,
    progress: Progress,
) -> tuple[Diagnostic, ...]:
    """What is odd about the samples, and what labelled ones say of the preprocess.

    See calibration_data.hygiene and accuracy.preprocess_audit. Raises SamplesError or OptionError,
    also when labels and outputs do not fit.
    """
    odd = sample_warnings(calib, evaluation, seed)
    return (*odd, *_of_labels(ready, evaluation, scoring, seed, progress))


def calibration_notices(calib: Samples, seed: int) -> tuple[Diagnostic, ...]:
    """What is odd about samples that nothing is scored on. Raises SamplesError."""
    return sample_warnings(calib, None, seed)


def _of_labels(
    ready: ReadyModel, evaluation: Samples, scoring: Scoring, seed: int, progress: Progress
) -> tuple[Diagnostic, ...]:
    if evaluation.labels is None:
        return ()
    audit = audit_preprocess(ready.model, evaluation, scoring, seed=seed, progress=progress)
    return told(audit, scoring.metric.name, images=evaluation.preprocess is not None)


def told(found: PreprocessAudit, metric: str, *, images: bool) -> tuple[Diagnostic, ...]:
    """One line for what was found, none when all is well."""
    seen = f"the original model's {metric} is {found.value:.3f} on {found.samples} samples"
    if found.better is not None:
        text = f"{seen}, and {found.better.value:.3f} with {found.better.change}"
        if found.equals:
            text += f"; the samples cannot tell that from {_listed(found.equals)}"
        return (
            Diagnostic(_CODES[found.subject], text, _advice(found.better, found.equals, images)),
        )
    if found.hint is not None:
        text = (
            f"{seen}, and {found.hint.value:.3f} with {found.hint.change}, but they are too few to "
            "tell which is right"
        )
        return (
            Diagnostic(
                "preprocess-undecided", text, f"give more labelled samples with {option('eval')}"
            ),
        )
    if found.at_chance:
        text = f"{seen}, which labels in any order would give"
        return (Diagnostic("preprocess-chance", text, _whole_advice(images)),)
    return ()


def _listed(settings: tuple[Suggestion, ...]) -> str:
    return " or ".join(f"{one.change} ({one.value:.3f})" for one in settings)


def _advice(better: Suggestion, equals: tuple[Suggestion, ...], images: bool) -> str:
    if equals:
        return "look up which one the model was trained with, and use that"
    return f"give {better.change}" if images else _TENSORS


def _whole_advice(images: bool) -> str:
    order = "is the order of the labels that of the model's classes?"
    tried = "no other setting that was tried is clearly better"
    return f"{order} {tried if images else 'are the tensors made as in training?'}"
