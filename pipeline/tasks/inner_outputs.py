"""A prepared model with tensors from inside it among its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx import ModelProto, helper

from ...core.graphs.inference import with_shapes
from ...core.graphs.model import save_model

_DEQUANTIZE = "DequantizeLinear"


def write_with_outputs(model: ModelProto, tensors: Sequence[str], file: Path) -> dict[str, int]:
    """Write the model with these as outputs too; return the position of each among all.

    One that is dequantized is so once more: the toolkit fails on one that is both read and an
    output. Raises OutputError, ModelError.
    """
    whole = ModelProto()
    whole.CopyFrom(model)
    outputs = [value.name for value in model.graph.output]
    makers = {name: node for node in model.graph.node for name in node.output}
    kinds = {value.name: value for value in with_shapes(model).graph.value_info}
    for name in tensors:
        if name in outputs:
            continue
        node, shown = makers[name], name
        if node.op_type == _DEQUANTIZE:
            shown = f"{name}.shown"
            again = helper.make_node(
                node.op_type, list(node.input), [shown], shown, domain=node.domain or None
            )
            whole.graph.node.append(again)
        value = whole.graph.output.add()
        value.CopyFrom(kinds[name])
        value.name = shown
        outputs.append(name)
    save_model(whole, file)
    return {name: position for position, name in enumerate(outputs)}


def dequantized_tensors(model: ModelProto) -> Iterator[tuple[str, str]]:
    """Yield tensors that a QDQ model quantizes, each with what holds it dequantized."""
    nodes = model.graph.node
    tensors = {node.input[0]: node.output[0] for node in nodes if node.op_type == _DEQUANTIZE}
    for node in nodes:
        if node.op_type == "QuantizeLinear" and node.output[0] in tensors:
            yield node.input[0], tensors[node.output[0]]
