"""Inputs and outputs in the form that the toolkit takes: each output once, and none without axes.

Of two outputs that are the same tensor rknn-toolkit2 2.5.0 drops one, or it crashes; an input that
is an output too is dropped as well; an input of rank 0 ends in an IndexError. A Cast of integers to
others at an output is built, and then cannot be simulated.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, NodeProto, TensorProto, helper

from ...core.graphs.graph import Graph, free_name, refill, replace_nodes

_INTEGERS = {
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
}
_COPYING = {"Identity", "QuantizeLinear", "DequantizeLinear"}


def with_toolkit_interface(model: ModelProto) -> ModelProto:
    """Return the model, or a copy where it has such inputs or outputs.

    Outputs that repeat another are left out, see ``copies_of``. An input that is an output is
    handed through under another name. A single number is fed as a tensor of one axis. Casts of
    integers are left out, see ``output_casts``.
    """
    graph = Graph(model)
    casts = output_casts(graph)
    copies = copies_of(graph)
    handed = set(graph.input_names).intersection(graph.output_names)
    numbers = [name for name in graph.input_names if graph.shapes.get(name) == ()]
    is_listed_once = len(set(graph.output_names)) == len(graph.output_names)
    if is_listed_once and not (copies or handed or numbers or casts):
        return model
    changed = ModelProto()
    changed.CopyFrom(model)
    _leave_out(changed, casts)
    outputs = changed.graph.output
    single = {value.name: value for value in outputs if value.name not in copies}
    refill(outputs, list(single.values()))
    for value in outputs:
        if value.name in handed:
            source, value.name = value.name, free_name(f"{value.name}/output", graph.names)
            changed.graph.node.append(helper.make_node("Identity", [source], [value.name]))
    for name in numbers:
        _give_axis(changed, name, free_name(f"{name}/number", graph.names))
    return changed


def output_casts(graph: Graph) -> dict[str, NodeProto]:
    """Return each output that a Cast makes of computed integers, or truth values -> that Cast.

    Such as the classes of a mask, which an ArgMax makes in 64 bits and an application reads in 8.
    Nothing else reads either.
    """
    types = _types(graph.model)
    return {
        name: node
        for name, node in graph.producers.items()
        if node.op_type == "Cast"
        and name in graph.output_names
        and name not in graph.consumers
        and node.input[0] in graph.producers
        and len(graph.consumers[node.input[0]]) == 1
        and node.input[0] not in graph.output_names
        and types.get(name) in _INTEGERS
        and types.get(node.input[0]) in (*_INTEGERS, TensorProto.BOOL)
    }


def _types(model: ModelProto) -> dict[str, int]:
    values = [*model.graph.value_info, *model.graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _leave_out(model: ModelProto, casts: Mapping[str, NodeProto]) -> None:
    """What a Cast reads gets the name of the output, and the output the type of that."""
    types, names = _types(model), {node.input[0]: name for name, node in casts.items()}
    for value in model.graph.output:
        if value.name in casts:
            value.type.tensor_type.elem_type = types[casts[value.name].input[0]]
    nodes = [node for node in model.graph.node if node.output[0] not in casts]
    for node in nodes:
        node.output[:] = [names.get(name, name) for name in node.output]
    replace_nodes(model.graph, nodes)


def copies_of(graph: Graph) -> dict[str, str]:
    """Return each output that repeats an earlier one -> that one, as the toolkit is given it.

    >>> from onnx import parser
    >>> text = '''<ir_version: 8, opset_import: ["": 13]> g (float[2] x) => (float[2] y, float[2] z)
    ...     { y = Relu(x) z = Identity(y) }'''
    >>> copies_of(Graph(parser.parse_model(text)))
    {'z': 'y'}
    """
    first: dict[str, str] = {}
    copies = {}
    for name in graph.output_names:
        source = _source(graph, name)
        if source in graph.producers or source in graph.input_names:
            original = first.setdefault(source, name)
            if original != name:
                copies[name] = original
    return copies


def _source(graph: Graph, name: str) -> str:
    """The tensor whose values an output has, but for rounding."""
    node = graph.producers.get(name)
    while node is not None and node.op_type in _COPYING:
        name = node.input[0]
        node = graph.producers.get(name)
    return name


def _give_axis(model: ModelProto, name: str, inside: str) -> None:
    """Give an input of rank 0 one axis, which is taken away before anything reads it."""
    for value in model.graph.input:
        if value.name == name:
            value.type.tensor_type.shape.dim.add().dim_value = 1
    nodes = list(model.graph.node)
    for node in nodes:
        node.input[:] = [inside if tensor == name else tensor for tensor in node.input]
    squeeze = helper.make_node("Squeeze", [name], [inside], inside)
    replace_nodes(model.graph, [squeeze, *nodes])
