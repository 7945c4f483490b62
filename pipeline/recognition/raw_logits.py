"""Which outputs of a detector that ends at its maps are logits: the host makes scores of them."""

from __future__ import annotations

from onnx import ModelProto

from .detector_form import Scale, channels_of, head_scales, is_raw
from .model_view import ModelView

_SIDES = 64  # channels: a distribution over 16 bins for each of four sides


def raw_class_maps(model: ModelProto) -> tuple[str, ...]:
    """Return the outputs that are maps of classes beside such of the sides' distributions.

    () for a model that does not end there. Source: X. Li et al., "Generalized focal loss" (NeurIPS
    2020), as Ultralytics' heads since YOLOv8 learn sides.
    """
    view = ModelView(model, {})
    if any(_maker(view, output.name) != "Conv" for output in view.outputs):
        return ()  # soon told, as for most models
    scales = head_scales(view, [output.name for output in view.outputs])
    is_fit = is_raw(view, scales) and _SIDES in (channels_of(scales) or ())
    if not is_fit or any(len(scale) != 2 for scale in scales):
        return ()
    classes = {_classes_of(scale) for scale in scales}
    return tuple(output.name for output in view.outputs if view.source(output.name) in classes)


def _maker(view: ModelView, name: str) -> str:
    node = view.producers.get(view.source(name))
    return node.op_type if node is not None else ""


def _classes_of(scale: Scale) -> str:
    """Return the map of classes of two; of two that are alike the second."""
    first, second = scale
    return second.name if first.channels == _SIDES else first.name
