"""Values that float16 cannot hold: above 65504 they become infinite, and the rest NaN.

Measured with rknn-toolkit2 2.5.0 (rk3588, simulator): a convolution with one weight above 65504
gave NaN in every output value, a square of 2e5 gave inf. Nothing was lost where a Clip or a Sigmoid
follows a convolution directly, as the NPU applies it before the value is stored, nor with masks of
-1e9 or -inf that are added before a Softmax, nor in int8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from ...core.diagnostics import Diagnostic
from ...core.graphs.graph import Graph
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Range
from .audit_view import AuditView, view_of

LARGEST = 65504.0  # of float16
_NEAR = 0.5  # of that: other samples than those of the calibration reach further
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_SCALING = {*_WEIGHTED, "Mul", "Div"}
# applied to the result of a weighted layer before it is stored
_APPLIED = {"Relu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu", "PRelu"}
_SHOWN = 3


def tensors_to_observe(model: ModelProto) -> list[str]:
    """Return the names, in ``model`` itself, of computed tensors that the NPU stores as float16.

    Those of a float model but for what an activation is applied to at once; of a QDQ model only
    those that have no scale.
    """
    return _stored_in_float(view_of(model, None))


def observe(
    model: ModelProto, samples: Iterable[Mapping[str, Array]], count: int = 4
) -> dict[str, Range]:
    """Return (min, max) of ``tensors_to_observe`` by name over the first ``count`` samples.

    ``model`` is prepared, float or QDQ; ``samples`` yields feeds (input name -> array), read one
    by one. A range may be infinite. Raises SamplesError when there is no sample or one gives NaN.
    """
    ranges: dict[str, Range] = {}

    def widen(values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            if value.size:
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))

    names = tensors_to_observe(model)
    if names:
        quantized = view_of(model, None).quantized is not None
        stream(model, names, islice(samples, count), widen, optimise=not quantized)
    return ranges


def overflow_warnings(view: AuditView) -> Iterator[Diagnostic]:
    """Warn of constants that float16 cannot hold, and of tensors measured beyond or near that."""
    yield from _constants(view)
    reached = {
        name: max(-view.ranges[name][0], view.ranges[name][1])
        for name in _stored_in_float(view)
        if name in view.ranges
    }
    beyond = {n: m for n, m in reached.items() if m > LARGEST and not _is_mask(view, n)}
    near = {n: m for n, m in reached.items() if _NEAR * LARGEST < m <= LARGEST}
    if beyond:
        yield Diagnostic(
            "float16-overflow",
            f"{_listed(beyond)} in calibration; float16 ends at {LARGEST:.0f}, so they become "
            "infinite and what is computed from them NaN",
            "quantize to int8, or divide the weights of the layer before it and multiply later",
            subject=_largest(beyond),
        )
    if near:
        yield Diagnostic(
            "float16-overflow",
            f"{_listed(near)} in calibration, over half of {LARGEST:.0f}, where float16 ends: "
            "other inputs may overflow",
            "calibrate with more samples to know, or scale the values down in the model",
            subject=_largest(near),
        )


def _constants(view: AuditView) -> Iterator[Diagnostic]:
    weights, quantized = view.graph.weights, view.quantized or frozenset()
    large = {
        name: float(np.abs(weights[name]).max())
        for node in view.graph.nodes
        if node.op_type in _SCALING
        for name in node.input
        if name in weights and name not in quantized and _exceeds(weights[name])
    }
    if large:
        yield Diagnostic(
            "float16-overflow",
            f"the constant {_listed(large)}; float16 ends at {LARGEST:.0f}, so every value "
            "computed with it becomes infinite or NaN",
            "quantize to int8, or scale the constant down in the model",
            subject=_largest(large),
        )


def _exceeds(value: Array) -> bool:
    return value.dtype.kind == "f" and bool(value.size) and bool(np.abs(value).max() > LARGEST)


def _stored_in_float(view: AuditView) -> list[str]:
    graph = view.graph
    floats = {
        value.name
        for value in [*graph.model.graph.value_info, *graph.model.graph.output]
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    quantized = view.quantized or frozenset()
    return [
        name
        for node in graph.nodes
        for name in node.output
        if name in floats and name not in quantized and not _is_inside(graph, node)
    ]


def _is_inside(graph: Graph, node: NodeProto) -> bool:
    """Whether only an activation, applied before anything is stored, reads the node's result."""
    readers = graph.consumers.get(node.output[0], [])
    return (
        node.op_type in _WEIGHTED
        and len(readers) == 1
        and readers[0].op_type in _APPLIED
        and node.output[0] not in graph.output_names
    )


def _is_mask(view: AuditView, name: str) -> bool:
    """Whether the large values are negative and go to a Softmax alone, which makes them 0."""
    readers = view.graph.consumers.get(name, [])
    return (
        view.ranges[name][1] <= LARGEST
        and bool(readers)
        and all(reader.op_type in {"Softmax", "LogSoftmax"} for reader in readers)
    )


def _largest(reached: Mapping[str, float]) -> str:
    return max(reached, key=lambda name: reached[name])


def _listed(reached: Mapping[str, float]) -> str:
    worst = sorted(reached.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name!r} reaches {value:.4g}" for name, value in worst[:_SHOWN])
    return shown + (f" and {len(worst) - _SHOWN} more do" if len(worst) > _SHOWN else "")
