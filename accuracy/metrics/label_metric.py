"""The metric that labels ask for where nobody has chosen one, by what they are."""

from __future__ import annotations

from collections.abc import Sequence

from ...calibration_data.sources.labels import Labels

# of an output, without its batch axis; None where a length is free
Form = tuple[int | None, ...]


def metric_of_labels(labels: Labels, outputs: Sequence[Form]) -> str | None:
    """Return the name of the metric for labels and a model's outputs; None where topK will do.

    Objects that have more than a box are scored by that only where the outputs hold it too: a
    file of COCO has outlines for detectors as well.
    """
    match labels.kind:
        case "boxes" | "keypoints" | "rotated-boxes" | "instance-masks":
            return _of_objects(labels, outputs)
        case "mask":
            return "miou"
        case "text":
            # names of classes repeat, lines to read hardly do
            reads = len(outputs[0]) == 2 and labels.strata() is None if outputs else False
            return "character-accuracy" if reads else None
    return None


def _of_objects(labels: Labels, outputs: Sequence[Form]) -> str:
    if len(outputs) == 1 and len(outputs[0]) == 3 and 1 in (outputs[0][0], outputs[0][2]):
        return "text-boxes"
    if labels.kind == "keypoints" and _hold_keypoints(labels, outputs):
        return "pose50"
    if labels.kind == "rotated-boxes" and outputs and outputs[0][-1] != 6:
        return "obb50"
    if labels.kind != "boxes" and _hold_prototypes(outputs):
        return "mask50"
    return "map50"


def _hold_keypoints(labels: Labels, outputs: Sequence[Form]) -> bool:
    """Tell whether an anchor of the outputs has numbers for the labelled keypoints."""
    points = next((len(each.keypoints[0]) for each in labels if len(each)), 0)
    classes = {1, len(labels.class_names())} - {0}
    numbers = {points * 3, points * 2}
    rows = {4 + count + more for count in classes for more in numbers}
    selected = {6 + more for more in numbers}
    for form in outputs:
        if len(form) == 2 and (form[0] in rows or form[1] in rows | selected):
            return True
    return len(outputs) > 1 and outputs[-1][0] in numbers


def _hold_prototypes(outputs: Sequence[Form]) -> bool:
    """Tell whether one output is maps that the coefficients of another are for."""
    maps = [form for form in outputs if len(form) == 3]
    if not maps or len(outputs) < 2:
        return False
    prototypes = max(maps, key=lambda form: form[1] or 0)
    alone = sum(form[1:] == prototypes[1:] for form in maps) == 1
    decoded = any(len(form) == 2 for form in outputs)
    return alone and (decoded or sum(form[0] == prototypes[0] for form in maps) > 1)
