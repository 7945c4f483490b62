"""A YOLOv8n that somebody trained, ended at its raw heads: where Rockchip's own examples end it.

Its package is under the AGPL, so it is downloaded where it is measured and never bundled.
"""

from __future__ import annotations

from onnx import ModelProto, shape_inference, utils

from ..conversions.models import Input, Model
from .methods import YOLO

DETECTOR = Model(
    YOLO,
    "object detector, CNN",
    "nudenet",
    "3.4.2",
    "nudenet/320n.onnx",
    "AGPL-3.0",
    (Input("images", (1, 3, 320, 320), "photo", (0.0,), (255.0,)),),
)


def ended_at_raw_heads(model: ModelProto) -> ModelProto:
    """Return the model with the last convolutions of boxes and classes, six tensors, as outputs."""
    last = [node for node in model.graph.node if node.name.endswith(".2/Conv")]
    heads = [node.output[0] for node in last if "/cv2." in node.name or "/cv3." in node.name]
    extractor = utils.Extractor(shape_inference.infer_shapes(model))
    ended: ModelProto = extractor.extract_model([model.graph.input[0].name], heads)
    return ended
