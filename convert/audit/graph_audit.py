"""What the structure of a model and its options tell before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onnx import ModelProto, NodeProto

from ...core.diagnostics import Diagnostic, option
from ...core.graphs.graph import Graph
from ...core.passes.prepare import input_shapes_of
from .graph_cut import downstream, outputs_without, replacing_hint

# rknn-toolkit2 2.3.2 and 2.5.0 refuse a later one: "Unsupport onnx opset 20, need <= 19!"
LATEST_OPSET = 19
_COMPUTED_BY_RUNTIME = 4  # channels up to which the runtime has a mean for each
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def fusion_warnings(graph: Graph) -> Iterator[Diagnostic]:
    """Warn of layers whose result is read beside their Sigmoid, so that both are rounded.

    Measured with rknn-toolkit2 2.3.2 and 2.5.0: the compiler joins Conv and Sigmoid, and Conv and
    SiLU, whoever reads what comes out of them, but not when something else reads the convolution's
    own result (or, 2.5.0, the Sigmoid inside the SiLU). So with ConvTranspose, Gemm and MatMul.
    The result is then stored in int8 first: on a head whose logits span -53 to 38, 13 levels
    between the scores 0.1 and 0.9 were left of 204.
    """
    for node in graph.nodes:
        if node.op_type != "Sigmoid":
            continue
        layer = graph.producers.get(node.input[0])
        if layer is None or layer.op_type not in _WEIGHTED or not graph.is_weight(layer.input[1]):
            continue
        culprits = _other_readers(graph, node)
        if culprits:
            yield _fusion_warning(graph, node, culprits)


def _other_readers(graph: Graph, sigmoid: NodeProto) -> list[str]:
    """Who else reads the layer's result, or the inside of its SiLU; [] when all is well."""
    raw, score = sigmoid.input[0], sigmoid.output[0]
    others = [node for node in graph.consumers[raw] if node is not sigmoid]
    others_of_score = graph.consumers.get(score, [])
    silu = [node for node in others if _is_product(node, raw, score)]
    culprits = [_named(node) for node in others if node not in silu]
    if raw in graph.output_names:
        culprits.append("the model's output")
    if silu:
        culprits += [_named(node) for node in others_of_score if node not in silu]
        if score in graph.output_names:
            culprits.append("the model's output")
    return culprits


def _is_product(node: NodeProto, first: str, second: str) -> bool:
    return node.op_type == "Mul" and set(node.input) == {first, second}


def _named(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _fusion_warning(graph: Graph, sigmoid: NodeProto, culprits: list[str]) -> Diagnostic:
    raw, score = sigmoid.input[0], sigmoid.output[0]
    return Diagnostic(
        "fusion-sigmoid",
        f"the Sigmoid {score!r} is not joined with the layer before it, because "
        f"{', '.join(culprits)} reads the values before or inside it too: {raw!r} is rounded "
        "to int8 first, and few levels of the score are left",
        replacing_hint(graph, [sigmoid], "let the others read what comes after the Sigmoid"),
        subject=score,
    )


def suppression_warnings(graph: Graph) -> Iterator[Diagnostic]:
    """Warn of non-maximum suppression, or a choice of the best boxes, at a detector's end.

    rknn-toolkit2 2.5.0 refuses to build NonMaxSuppression: "need to be constant! It will cause the
    graph to be a dynamic graph". A TopK it gives to the CPU, with what follows.
    """
    tail = selection_tail(graph)
    if tail:
        effect = (
            "the toolkit does not build that" if _suppresses(tail[0]) else "that runs on the CPU"
        )
        yield Diagnostic(
            "cpu-fallback-nms",
            f"{_named(tail[0])} selects boxes inside the model: {effect}",
            f"end the model before it with {option('outputs', outputs_without(graph, tail))}, and "
            "select the boxes in the application",
        )


def selection_tail(graph: Graph) -> list[NodeProto]:
    """Return the node that selects boxes at a detector's end and what follows it; [] if none."""
    for node in graph.nodes:
        if not _suppresses(node) and node.op_type != "TopK":
            continue
        tail = downstream(graph, [node])
        # a choice inside the network, with layers after it, is not a detector's end
        if _suppresses(node) or not any(after.op_type in _WEIGHTED for after in tail):
            return tail
    return []


def _suppresses(node: NodeProto) -> bool:
    return node.op_type == "NonMaxSuppression" or "NMS" in node.op_type


def opset_warnings(model: ModelProto, toolkit: str | None) -> Iterator[Diagnostic]:
    """Warn of an opset that the toolkit refuses."""
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset = next(versions, 1)
    if opset > LATEST_OPSET:
        yield Diagnostic(
            "toolkit-opset",
            f"the model has opset {opset}; {f'rknn-toolkit2 {toolkit or str()}'.strip()} refuses "
            f"opsets above {LATEST_OPSET}",
            f"export the model with opset {LATEST_OPSET}, or convert it with "
            "onnx.version_converter",
        )


def channel_warnings(
    model: ModelProto, means: Mapping[str, Sequence[float]], stds: Mapping[str, Sequence[float]]
) -> Iterator[Diagnostic]:
    """Warn of inputs of more than 4 channels with a mean or std of their own for each.

    The runtime takes the first value for all of them (operator list 2.3.2, section 5.1), while the
    simulator applies each to its channel: measured with rknn-toolkit2 2.5.0 on 6 channels. So the
    simulated accuracy does not show it. ``convert`` refuses such options.
    """
    for name, shape in input_shapes_of(model).items():
        channels = shape[1] if len(shape) > 1 else None
        if channels is None or channels <= _COMPUTED_BY_RUNTIME:
            continue
        settings = {"mean": means.get(name, ()), "std": stds.get(name, ())}
        firsts = [f"{kind} ({each[0]:g})" for kind, each in settings.items() if len(set(each)) > 1]
        if firsts:
            yield Diagnostic(
                "preprocess-channels",
                f"the input {name!r} has {channels} channels; above {_COMPUTED_BY_RUNTIME} the "
                f"runtime takes the first {' and '.join(firsts)} for all of them, though the "
                "simulator does not",
                "give one value, and put the scaling of each channel into the model",
                subject=name,
            )
