"""Objects as a metric reads them from a model's outputs."""

from __future__ import annotations

from typing import Any

from rockpress.core.results.predictions import PredictedObject, PredictedObjects, class_name

NAMES = ("cat", "dog")


def objects(*rows: tuple[int, float, Any], **more: Any) -> PredictedObjects:
    """Return objects by index of their class, score and box; ``more`` is what each has beside."""
    return PredictedObjects(
        tuple(
            PredictedObject(index, class_name(index, NAMES), score, box, **more)
            for index, score, box in rows
        )
    )
