"""The shapes and types that ONNX infers, and whether what it infers can be."""

from __future__ import annotations

import onnx
from onnx import ModelProto, NodeProto

from ..errors import ModelError
from ..native_work import native_work
from ..types import Shape
from .graph import attributes

_CONVOLUTIONS = ("Conv", "ConvTranspose")


def with_shapes(model: ModelProto) -> ModelProto:
    """Return a copy of a model with the shapes and types that ONNX infers.

    Raises ModelError where what is in the model contradicts itself.
    """
    try:
        with native_work("ONNX inferred the shapes of the model"):
            return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"the shapes of the model cannot be told: {reason}", "export the model again"
        ) from error


def require_fitting(model: ModelProto) -> None:
    """Raise ModelError for a shape that cannot be, and for a layer that its input does not fit.

    ONNX infers through these, and nobody notices before the model is run.
    """
    known = _shapes_in(model)
    for node in model.graph.node:
        shapes = [known[name] for name in node.output if name in known]
        if wrong := next((shape for shape in shapes if min(shape, default=0) < 0), None):
            raise _unfit(node, f"gives the shape {_shown(wrong)}")
        names = [name for name in node.input if name]
        if node.domain == "" and len(names) > 1 and all(name in known for name in names):
            _require_fit(node, [known[name] for name in names])


def _shapes_in(model: ModelProto) -> dict[str, Shape]:
    graph = model.graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _require_fit(node: NodeProto, shapes: list[Shape]) -> None:
    x, weight = shapes[:2]
    settings = attributes(node)
    if node.op_type in _CONVOLUTIONS:
        groups = settings.get("group", 1)
        transposed = node.op_type == "ConvTranspose"
        fits = len(x) == len(weight) > 2 and groups > 0
        fits = fits and x[1] == (weight[0] if transposed else weight[1] * groups)
        outputs = weight[1] * groups if transposed else weight[0]
        fits = fits and all(bias == (outputs,) for bias in shapes[2:3])
    elif node.op_type == "Gemm":
        fits = len(x) == len(weight) == 2
        shared = 0 if settings.get("transA") else 1, 1 if settings.get("transB") else 0
        fits = fits and x[shared[0]] == weight[shared[1]]
    elif node.op_type == "MatMul":
        fits = bool(x and weight) and x[-1] == weight[-2 if len(weight) > 1 else 0]
    else:
        return
    if not fits:
        raise _unfit(node, f"does not fit: {' and '.join(map(_shown, shapes))} go into it")


def _unfit(node: NodeProto, why: str) -> ModelError:
    name = node.name or next(filter(None, node.output), "")
    return ModelError(f"node {name!r} ({node.op_type}) {why}", "export the model again")


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"
