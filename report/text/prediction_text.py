"""What a model says of a sample, as lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...core.results.predictions import (
    PredictedClasses,
    PredictedMap,
    PredictedNumbers,
    PredictedObject,
    PredictedObjects,
    PredictedOutputs,
    PredictedSpeech,
    PredictedText,
    Prediction,
)
from .units import UNKNOWN, counted, number_text

_NUMBERS, _SEGMENTS, _SHARES = 8, 12, 20


def prediction_lines(prediction: Prediction) -> list[str]:
    """Return a prediction in lines, the most telling first."""
    match prediction:
        case PredictedClasses(classes):
            return aligned((each.name, f"{each.score:.3f}") for each in classes) or ["no class"]
        case PredictedObjects(objects):
            return [_counted_objects(objects), *aligned(map(_object_cells, objects))]
        case PredictedText(text, confidence):
            return [f'"{text}"  {confidence:.3f}']
        case PredictedMap(shares):
            listed = aligned((each.name, f"{each.share:.1%}") for each in shares[:_SHARES])
            more = len(shares) - _SHARES
            return [*listed, f"and {more} more"] if more > 0 else listed
        case PredictedSpeech():
            return speech_lines(prediction)
        case PredictedNumbers(values):
            shown = "  ".join(f"{value:.4g}" for value in values[:_NUMBERS])
            rest = len(values) - _NUMBERS
            return [shown + (f"  and {rest} more" if rest > 0 else "")]
        case PredictedOutputs(outputs):
            return aligned(
                (each.name, "x".join(map(str, each.shape)) or "one number", _range(each))
                for each in outputs
            )


def _range(each: object) -> str:
    low, mean, high = (number_text(getattr(each, name), ".4g") for name in ("low", "mean", "high"))
    return f"{low} to {high}, mean {mean}" if UNKNOWN not in (low, high) else "not finite"


def _counted_objects(objects: Iterable[PredictedObject]) -> str:
    names = Counter(each.name for each in objects)
    return ", ".join(f"{count} x {name}" for name, count in names.items()) or "nothing"


def _object_cells(each: PredictedObject) -> tuple[str, ...]:
    points = counted(len(each.keypoints), "key point") if each.keypoints else ""
    return each.name, f"{each.score:.3f}", place_text(each), points


def place_text(each: PredictedObject) -> str:
    """Return the corners of an object's box, in whole pixels."""
    left, top, right, bottom = (f"{value:.0f}" for value in each.box)
    return f"{left},{top} to {right},{bottom}"


def speech_lines(prediction: PredictedSpeech) -> list[str]:
    """Return in how many frames there is speech, and in which."""
    frames = len(prediction.probabilities)
    speech = sum(last - first for first, last in prediction.segments)
    shown = [f"{first} to {last - 1}" for first, last in prediction.segments[:_SEGMENTS]]
    more = len(prediction.segments) - _SEGMENTS
    where = f": frames {', '.join(shown)}" if shown else ""
    return [
        f"speech in {speech} of {frames} frames{where}" + (f" and {more} more" if more > 0 else "")
    ]


def aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return rows of cells under one another."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
