"""The graph of the layers that the compiler makes of a model, with their rows in its table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.results.graph_rows import GraphNode
from ..audit.audit_view import view_of
from ..chips.compiler_log import Layer
from ..chips.targets import Target
from .fused_operator import FusedOperator
from .fusions import fused_operators
from .stored_shapes import channel_axes, silent_moves


def fused_graph(
    model: ModelProto, target: Target, layers: Sequence[Layer], decibels: Mapping[str, float]
) -> tuple[GraphNode, ...]:
    """Return what runs as one layer of a prepared model, each after those that it reads.

    The compiler prints no edges: what it joins is worked out from the graph, float or QDQ, as for
    the predicted table, and the rows of its table are found by their names. ``decibels`` are the
    SQNR of tensors by their names.
    """
    graph = view_of(model, None).graph
    same = silent_moves(graph, channel_axes(graph))
    operators = fused_operators(graph, same, target)
    writers = {name: index for index, name in enumerate(graph.input_names)}
    for index, operator in enumerate(operators, len(writers)):
        writers.update(dict.fromkeys(operator.writes, index))
    rows = _rows_of(_owners(graph, operators, same, writers), layers)
    nodes = [GraphNode(name, "Input", layers=rows[name]) for name in graph.input_names]
    for operator in operators:
        name = operator.writes[0]
        nodes.append(
            GraphNode(
                operator.first.name or name,
                operator.op,
                tuple(f"{node.op_type} {node.name or node.output[0]}" for node in operator.nodes),
                _places(operator.reads, writers),
                rows[name],
                decibels.get(name),
            )
        )
    for name in graph.output_names:
        reads = _places((same.get(name, name),), writers)
        nodes.append(GraphNode(name, "Output", inputs=reads, layers=rows[f"Output:{name}"]))
    return tuple(nodes)


def _places(names: Iterable[str], writers: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted({writers[name] for name in names if name in writers}))


def _owners(
    graph: Graph,
    operators: Iterable[FusedOperator],
    same: Mapping[str, str],
    writers: Mapping[str, int],
) -> dict[str, str]:
    """Return names of nodes and tensors -> the first tensor that their layer writes."""
    owners = {name: name for name in graph.input_names}
    for operator in operators:
        for node in operator.nodes:
            for name in (node.name, *node.output):
                owners.setdefault(name, operator.writes[0])
        if operator.first.op_type == "GlobalAveragePool":  # may be named by what it reads
            owners.setdefault(f"{operator.first.input[0]}_gavg", operator.writes[0])
    for moved, stored in same.items():
        if stored in writers:
            owners.setdefault(moved, owners.get(stored, stored))
            owners.setdefault(graph.producers[moved].name, owners.get(stored, stored))
    owners.pop("", None)
    return owners


def _rows_of(owners: Mapping[str, str], layers: Iterable[Layer]) -> Mapping[str, tuple[int, ...]]:
    """Return the first tensor that a layer writes -> its rows; an output of the model has its own.

    The table has a name of its own for each row: Conv:/head/Conv_ConvAdd is a part of /head/Conv.
    """
    rows: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for layer in layers:
        kind, _, name = layer.name.partition(":")
        if kind == "OutputOperator":
            rows[f"Output:{name}"] += (layer.index,)
        elif owner := _owner(name, owners):
            rows[owner] += (layer.index,)
    return rows


def _owner(name: str, owners: Mapping[str, str]) -> str | None:
    """Return what a name, or the longest part of it from its begin, belongs to."""
    if name in owners:
        return owners[name]
    ends = [match.start() for match in re.finditer(r"[^0-9A-Za-z]|(?<=\D)\d", name)]
    parts = (name[:end] for end in reversed(ends))
    return next((owners[part] for part in parts if part in owners), None)
