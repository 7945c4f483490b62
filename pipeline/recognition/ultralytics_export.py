"""What the ultralytics package writes into the models that it exports, whatever their task."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .detector_form import Scale, cells_of, channels_of, names_of
from .family import Setting, settings_from
from .model_view import Dims, ModelView

_SIZE = re.compile(r"\[(\d{2,5}), (\d{2,5})\]")
_BINS = 16  # of each side's distribution
_BOXES = (4 * _BINS, 4)  # YOLO26 learns the sides themselves


def is_export(view: ModelView, task: str) -> bool:
    """Return whether a model says that it was exported for a task, such as "detect"."""
    return view.metadata.get("task") == task and "stride" in view.metadata


def export_settings(view: ModelView) -> dict[str, Setting]:
    """Return what such a model is fed: RGB in 0..1, letterboxed to the size that it names."""
    settings = settings_from("metadata", resize="letterbox", std=255.0)
    return {**settings, **size_setting(view)}


def size_setting(view: ModelView) -> dict[str, Setting]:
    """Return the size that a model names, where its input is free."""
    size = _SIZE.fullmatch(view.metadata.get("imgsz", ""))
    if size is None or view.image is None or view.image.is_fixed:
        return {}
    return settings_from("metadata", size=[int(size[1]), int(size[2])])


def has_head(scales: Sequence[Scale], maps: int = 2) -> bool:
    """Return whether every scale has so many maps, one of boxes and one of classes among them."""
    channels = channels_of(scales)
    return channels is not None and len(channels) == maps and bool(_box_channels(channels))


def is_raw(view: ModelView, scales: Sequence[Scale]) -> bool:
    """Return whether the model ends at the maps themselves."""
    return set(names_of(scales)) == {output.name for output in view.outputs}


def is_decoded(shape: Dims, scales: Sequence[Scale]) -> bool:
    """Return whether an output has a row for each value of a cell, with boxes of four values."""
    channels = channels_of(scales)
    if channels is None or len(shape) != 3:
        return False
    rows = [4 + sum(channels) - boxes for boxes in _box_channels(channels)]
    return shape[1] in (*rows, None) and (shape[2] is None or cells_of(scales) in (shape[2], None))


def selects(view: ModelView) -> bool:
    """Return whether a model selects among its boxes itself."""
    return any(view.operators.get(name) for name in ("TopK", "NonMaxSuppression"))


def _box_channels(channels: Sequence[int]) -> list[int]:
    return [count for count in _BOXES if count in channels]
