"""The padding of transposed convolutions in numbers, where ONNX leaves it to be worked out."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from ..bodies.body_builder import TensorFacts, facts_of
from ..graphs.graph import attributes, refill, set_attribute

_SAME = ("SAME_UPPER", "SAME_LOWER")


def pad_explicitly(model: ModelProto) -> None:
    """Give each ConvTranspose with an automatic padding its pads, in place; results stay.

    rknn-toolkit2 2.5.0 fails on the others with an IndexError. Shapes must be fixed.
    """
    automatic = [
        node
        for node in model.graph.node
        if node.op_type == "ConvTranspose" and _mode(node) in _SAME
    ]
    facts = facts_of(model) if automatic else None
    for node in automatic:
        if facts is not None and (pads := _pads(node, facts)) is not None:
            set_attribute(node, "pads", pads)
            refill(node.attribute, [own for own in node.attribute if own.name != "auto_pad"])


def _mode(node: NodeProto) -> str:
    return str(attributes(node).get("auto_pad", "NOTSET"))


def _pads(node: NodeProto, facts: TensorFacts) -> list[int] | None:
    """Return what is cut off before and behind, so that an output is stride times its input."""
    shape, kernel = facts.shapes.get(node.input[0]), facts.shapes.get(node.input[1])
    settings = attributes(node)
    if shape is None or kernel is None or "output_shape" in settings:
        return None
    ones = [1] * (len(shape) - 2)
    widths = zip(
        kernel[2:],
        settings.get("strides", ones),
        settings.get("dilations", ones),
        settings.get("output_padding", [0] * len(ones)),
        strict=True,
    )
    totals = [
        dilation * (width - 1) + 1 - stride + more for width, stride, dilation, more in widths
    ]
    if min(totals) < 0:
        return None
    smaller, larger = [total // 2 for total in totals], [-(-total // 2) for total in totals]
    is_upper = settings["auto_pad"] == "SAME_UPPER"
    return smaller + larger if is_upper else larger + smaller
