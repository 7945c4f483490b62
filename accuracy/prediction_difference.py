"""What differs between two models' predictions for one sample, in the terms of their task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..core.diagnostics import option
from ..core.errors import ModelError
from ..core.results.differences import Difference, ObjectFate
from ..core.results.predictions import (
    PredictedClasses,
    PredictedMap,
    PredictedNumbers,
    PredictedObjects,
    PredictedOutputs,
    PredictedSpeech,
    PredictedText,
    Prediction,
)
from ..core.types import Array
from .metrics.segmentation import mean_iou, pixel_counts
from .metrics.text_recognition import edit_distance
from .object_pairs import paired_objects
from .picture_places import OUTSIDE

# what people see no difference in: of vectors, and of a map's pixels
_SAME_COSINE, _SAME_PIXELS = 0.999, 0.001
# what each fate is called, in the order in which they are told
_FATES: Mapping[ObjectFate, str] = {
    "lost": "lost",
    "new": "new",
    "renamed": "of another class",
    "moved": "moved",
}


def difference_of(first: Prediction, second: Prediction, least: float) -> Difference:
    """Return what differs; ``least`` is the score from which on objects are shown.

    Raises ModelError for predictions of two tasks, or of outputs in different numbers or shapes.
    """
    if type(first) is not type(second):
        raise _incomparable(f"one model gives {first.task}, the other {second.task}")
    if isinstance(first, PredictedObjects):
        return _of_objects(first, second, least)  # type: ignore[arg-type]
    return _DIFFERENCES[type(first)](first, second)


def _of_classes(first: PredictedClasses, second: PredictedClasses) -> Difference:
    before, after = ((each.classes or (None,))[0] for each in (first, second))
    names = [f"{best.name} {best.score:.2f}" if best else "nothing" for best in (before, after)]
    differs = (before and before.index) != (after and after.index)
    text = " -> ".join(names) if differs else f"{names[0]} -> {after.score:.2f}" if after else ""
    return Difference(differs, text, "same class", float(not differs))


def _of_objects(first: PredictedObjects, second: PredictedObjects, least: float) -> Difference:
    pairs = paired_objects(first, second, least)
    counts = {fate: sum(pair.fate == fate for pair in pairs) for fate in ("same", *_FATES)}
    both = 2 * (counts["same"] + counts["moved"])
    single = 2 * counts["renamed"] + counts["lost"] + counts["new"]
    likeness = both / (both + single) if both + single else 1.0
    said = [f"{counts[fate]} {word}" for fate, word in _FATES.items() if counts[fate]]
    text = ", ".join(said) or f"the same {counts['same']}"
    return Difference(bool(said), text, "F1 of the objects", likeness, pairs)


def _of_text(first: PredictedText, second: PredictedText) -> Difference:
    edits = edit_distance(first.text, second.text)
    longest = max(len(first.text), len(second.text), 1)
    text = f"{edits} of {longest} characters" if edits else "the same text"
    return Difference(edits > 0, text, "same characters", 1 - edits / longest)


def _of_map(first: PredictedMap, second: PredictedMap) -> Difference:
    if first.pixels.shape != second.pixels.shape:
        raise _incomparable(f"maps of {first.pixels.shape} and {second.pixels.shape} pixels")
    inside = (first.pixels != OUTSIDE) & (second.pixels != OUTSIDE)
    before, after = (np.asarray(each.pixels, np.int64)[inside] for each in (first, second))
    counts = pixel_counts(before[np.newaxis], after[np.newaxis], OUTSIDE)
    iou = float(mean_iou(counts.T.reshape(1, -1).astype(np.float64))[0])
    share = float(np.mean(before != after)) if before.size else 0.0
    text = f"{share:.1%} of the pixels, mean IoU {iou:.3f}"
    return Difference(share >= _SAME_PIXELS, text, "mean IoU", iou)


def _of_speech(first: PredictedSpeech, second: PredictedSpeech) -> Difference:
    before, after = (np.array(each.probabilities) for each in (first, second))
    frames = len(before)
    if len(after) != frames:
        raise _incomparable(f"{frames} and {len(after)} frames")
    crossed = (before >= first.threshold) != (after >= second.threshold)
    text = f"{int(crossed.sum())} of {frames} frames on the other side"
    return Difference(bool(crossed.any()), text, "same frames", 1 - float(crossed.mean()))


def _of_numbers(first: PredictedNumbers, second: PredictedNumbers) -> Difference:
    return _of_vectors([np.array(first.values)], [np.array(second.values)])


def _of_outputs(first: PredictedOutputs, second: PredictedOutputs) -> Difference:
    return _of_vectors(first.values, second.values)


def _of_vectors(first: Iterable[Array], second: Iterable[Array]) -> Difference:
    before, after = (list(map(_flat, outputs)) for outputs in (first, second))
    lengths = [list(map(len, vectors)) for vectors in (before, after)]
    if lengths[0] != lengths[1]:
        raise _incomparable(f"outputs of {lengths[0]} and {lengths[1]} numbers")
    pairs = list(zip(before, after, strict=True))
    cosine = min((_cosine(*pair) for pair in pairs), default=1.0)
    largest = max((float(np.abs(a - b).max(initial=0)) for a, b in pairs), default=0.0)
    text = f"cosine {cosine:.4f}, at most {largest:.4g} off"
    return Difference(not cosine >= _SAME_COSINE, text, "cosine", cosine)


def _flat(output: Array) -> Array:
    return np.ravel(output).astype(np.float64)


def _cosine(first: Array, second: Array) -> float:
    if np.array_equal(first, second):
        return 1.0
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norm if norm else 0.0


def _incomparable(text: str) -> ModelError:
    return ModelError(
        f"the two models cannot be compared: {text}",
        f"compare two forms of one model, with a {option('metric')} that reads both",
    )


_DIFFERENCES: Mapping[type, Callable[[Any, Any], Difference]] = {
    PredictedClasses: _of_classes,
    PredictedText: _of_text,
    PredictedMap: _of_map,
    PredictedSpeech: _of_speech,
    PredictedNumbers: _of_numbers,
    PredictedOutputs: _of_outputs,
}
