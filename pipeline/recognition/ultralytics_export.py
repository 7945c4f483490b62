"""What the ultralytics package writes into the models that it exports, whatever their task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.results.family_figure import Source
from .detector_form import Scale, cells_of, channels_of, head_scales, names_of
from .family import Cut, Match, Setting, settings_from
from .model_view import ModelView, TensorView

_SIZE = re.compile(r"\[(\d{2,5}), (\d{2,5})\]")
_BINS = 16  # of each side's distribution
_BOXES = (4 * _BINS, 4)  # YOLO26 learns the sides themselves
_SELECTING = ("TopK", "NonMaxSuppression")
_FED = {"resize": "letterbox", "std": 255.0}


def is_export(view: ModelView, task: str) -> bool:
    """Return whether a model says that it was exported for a task, such as "detect"."""
    return view.metadata.get("task") == task and "stride" in view.metadata


def has_rtdetr_head(view: ModelView) -> bool:
    """Return whether a model says that it is an RT-DETR, which shares the task of detectors."""
    metadata = view.metadata
    # before the package wrote the head, only the text about the model had its name
    named = metadata.get("head") or metadata.get("description", "")
    return is_export(view, "detect") and "rtdetr" in named.lower()


def export_settings(view: ModelView) -> dict[str, Setting]:
    """Return what such a model is fed: RGB in 0..1, letterboxed to the size that it names."""
    settings = settings_from("metadata", **_FED)
    return {**settings, **size_setting(view)}


def size_setting(view: ModelView) -> dict[str, Setting]:
    """Return the size that a model names, where its input is free."""
    size = _SIZE.fullmatch(view.metadata.get("imgsz", ""))
    if size is None or view.image is None or view.image.is_fixed:
        return {}
    return settings_from("metadata", size=[int(size[1]), int(size[2])])


def match_export(
    view: ModelView,
    task: str,
    metric: str,
    *,
    maps: int = 2,
    has_form: bool = True,
    beside: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
) -> Match | None:
    """Return what is set for a model of a task whose scales have so many ``maps``.

    ``has_form`` is whether the form of a model that says nothing fits the task otherwise;
    ``beside`` are outputs that are no boxes, ``options`` those of the metric beside its head.
    """
    outputs = [output for output in view.outputs if output.name not in beside]
    scales = head_scales(view, [output.name for output in outputs])
    fits = has_head(scales, maps)
    is_raw = fits and set(names_of(scales)) == {view.source(output.name) for output in outputs}
    head = "yolov8" if is_raw else _head_of(view, outputs, scales)
    says = is_export(view, task)
    if not says and not (has_form and fits and head):
        return None
    evidence: Source = "metadata" if says else "form"
    # maps alone may be those of another detector that learns distances as distributions
    fed = settings_from("guess" if is_raw else "form", **_FED)
    settings = {
        **(export_settings(view) if says else fed),
        **settings_from(evidence, metric=metric, metric_option=options or {}),
        **settings_from("form", metric_option={"head": head} if head else {}),
    }
    cut = Cut((*names_of(scales), *beside), {"metric_option.head": "yolov8"})
    return Match(evidence, settings, cut if fits and not is_raw else None)


def has_head(scales: Sequence[Scale], maps: int) -> bool:
    """Return whether every scale has so many maps, one of boxes and one of classes among them."""
    channels = channels_of(scales)
    return channels is not None and len(channels) == maps and bool(_box_channels(channels))


def _head_of(view: ModelView, outputs: Sequence[TensorView], scales: Sequence[Scale]) -> str | None:
    """Return the name that metrics have for boxes that are decoded; None where they are not."""
    if len(outputs) != 1 or len(outputs[0].shape) != 3:
        return None
    channels = channels_of(scales) or ()
    rows, columns = outputs[0].shape[1:]
    per_cell = [sum(channels) - boxes for boxes in _box_channels(channels)]
    if columns is not None and any(view.operators.get(name) for name in _SELECTING):
        extras = {columns - 6} if len(channels) < 3 else {columns - 6 - count for count in channels}
        return "end2end" if 0 in extras else None
    fits = rows in (*(4 + count for count in per_cell), None) and per_cell
    return "yolov8" if fits and (columns is None or cells_of(scales) in (columns, None)) else None


def _box_channels(channels: Sequence[int]) -> list[int]:
    return [count for count in _BOXES if count in channels]
