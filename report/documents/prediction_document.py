"""Predictions as one versioned JSON document."""

from __future__ import annotations

from typing import Any

from ...core.results.differences import Difference
from ...core.results.prediction_rows import PredictionReport, SamplePrediction
from ...core.results.predictions import Prediction
from .document import plain

SCHEMA = 1


def prediction_document(report: PredictionReport) -> dict[str, Any]:
    """Return the predictions as plain values; of two models with what differs."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "model": str(report.model),
        "against": None if report.against is None else str(report.against),
        "board": report.board,
        "metric": report.metric,
        "threshold": report.least,
        "family": plain(report.family),
        "memory": {str(path): plain(memory) for path, memory in report.memory.items()},
        "samples": [_sample(row) for row in report.samples],
    }
    if report.against is not None:
        document["differing"], document["likeness"] = report.differing, plain(report.likeness)
    return {**document, "warnings": [plain(warning.rendered()) for warning in report.warnings]}


def _sample(row: SamplePrediction) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "sample": row.sample,
        "drawing": None if row.drawing is None else str(row.drawing),
        "prediction": _prediction(row.prediction),
    }
    if row.against is not None and row.difference is not None:
        sample["against"] = _prediction(row.against)
        sample["difference"] = _difference(row.difference)
    return sample


def _prediction(prediction: Prediction) -> dict[str, Any]:
    return {"task": prediction.task, **plain(prediction)}


def _difference(difference: Difference) -> dict[str, Any]:
    record: dict[str, Any] = plain(difference)
    if not difference.objects:
        record.pop("objects")
    return record
