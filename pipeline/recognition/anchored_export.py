"""Detectors with three anchors a cell, decoded as YOLOv5 does it: YOLOv5 and YOLOv7."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.results.family_figure import Source
from .detector_form import (
    Scale,
    cells_of,
    channels_of,
    head_scales,
    is_raw,
    names_of,
    rows_outputs,
)
from .family import Cut, Match, Setting, settings_from
from .model_view import ModelView

_EACH = 3  # anchors of a cell
_FEWEST = 6  # numbers of an anchor: a box, objectness and a class
USUAL = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)


def match_anchored(
    view: ModelView, anchors: Sequence[float] = USUAL, *, is_named: bool
) -> Match | None:
    """Return what is set for such a model; ``anchors`` are those of one that does not hold them.

    Maps alone may be those of YOLOv3, or of anything else, unless the model ``is_named``.
    """
    scales = head_scales(view, [output.name for output in view.outputs])
    each = _numbers_of_an_anchor(scales)
    if each is None or view.operators.get("Exp"):  # YOLOv3's sides are exponentials
        return None
    says = {"stride", "names"} <= view.metadata.keys() and "task" not in view.metadata
    rows = rows_outputs(view, each, _EACH * (cells_of(scales) or 0) or None)
    shaped = [output for output in view.outputs if output.shape[1:2] == (_EACH,)]
    is_split = not rows and len(shaped) == len(scales) == len(view.outputs)
    if not (rows or is_split or (is_raw(view, scales) and (says or is_named))):
        return None
    evidence: Source = "metadata" if says else "form"
    source: Source = evidence if rows or says else "guess"
    settings = {
        **settings_from(source, resize="letterbox", std=255.0, metric="map50"),
        **settings_from("form", metric_option={"head": "yolov5"}),
        **(settings_from("form", metric_output=rows[:1]) if len(view.outputs) > 1 and rows else {}),
        **({} if rows else _anchor_setting(view, anchors)),
    }
    options = {name: each.value for name, each in _anchor_setting(view, anchors).items()}
    cut = Cut(names_of(scales), {"metric_option.head": "yolov5", **options})
    return Match(evidence, settings, None if is_raw(view, scales) or is_split else cut)


def _numbers_of_an_anchor(scales: Sequence[Scale]) -> int | None:
    channels = channels_of(scales) or ()
    if len(channels) != 1 or channels[0] % _EACH or channels[0] < _EACH * _FEWEST:
        return None
    return channels[0] // _EACH


def _anchor_setting(view: ModelView, otherwise: Sequence[float]) -> dict[str, Setting]:
    """Return the metric's anchors where they are not the usual ones."""
    anchors = _anchors_in(view)
    source: Source = "form" if anchors else "guess"
    values = anchors or list(otherwise)
    if values == list(USUAL):
        return {}
    return settings_from(source, metric_option={"anchors": ",".join(f"{v:g}" for v in values)})


def _anchors_in(view: ModelView) -> list[float]:
    """Return widths and heights of the anchors that the graph multiplies by, the smallest first."""
    triples = set()
    for node in view.model.graph.node:
        if node.op_type == "Mul":
            for name in node.input:
                values = view.constant(name)
                if values is not None and values.ndim == 5 and values.shape[1::3] == (_EACH, 2):
                    first = values[:, :, :1, :1]
                    if np.array_equal(np.broadcast_to(first, values.shape), values):
                        triples.add(tuple(first.ravel().tolist()))
    ordered = sorted(triples, key=lambda triple: float(np.prod(np.asarray(triple))))
    return [value for triple in ordered for value in triple]
