"""The model with fixed input shapes and constants folded: what every later stage works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, numpy_helper

from ..diagnostics import option
from ..errors import ModelError, OptionError
from ..graphs.graph import fed_inputs, refill
from ..graphs.inference import require_fitting, with_shapes
from ..graphs.model import is_qdq
from ..graphs.model_checks import ONNX_RUNTIMES
from ..scratch import scratch_folder
from ..session import Session
from ..trim_heap import trim_heap
from ..types import Shape
from .affine import fold_affine
from .byte_inputs import take_floats
from .canonicalize import canonicalize, make_float32
from .explicit_padding import pad_explicitly
from .float_weights import with_float_weights
from .fold_if import deciding_inputs, fold_if
from .no_effect import drop_without_effect
from .opset import readable_opset
from .ungroup import ungroup
from .untangle import untangle

_FIRST_16_BIT_OPSET = 21  # of QuantizeLinear
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def prepare_model(model: ModelProto, input_shapes: Mapping[str, Shape] | None = None) -> ModelProto:
    """Return a copy with fixed shapes, constants and BatchNormalization folded, shapes inferred.

    ``input_shapes`` maps input name -> shape and may leave out inputs whose shape is fixed already.
    A free batch axis becomes 1. The folding is ONNX Runtime's own basic optimisation, which uses
    only standard operators and keeps the results; float16 becomes float32, and so do float64 inputs
    and an input of bytes that is made a float first. What is joined and split
    again is taken apart (see untangle). Raises ModelError when an input stays dynamic, or a weight
    holds NaN.
    """
    fixed = with_float_weights(fold_if(_with_fixed_inputs(model, input_shapes or {})))
    take_floats(fixed)
    if not is_qdq(fixed):
        make_float32(fixed)
    fixed = readable_opset(fixed)
    declared = _forgotten_output_shapes(fixed)
    # the optimiser would move the scales of a quantized model about, so that one stays as it is
    folded = fixed if is_qdq(fixed) else _folded(fixed)
    _drop_unused_domains(folded)
    inferred = _with_shapes(folded)
    if folded is not fixed and untangle(inferred):
        inferred = _with_shapes(inferred)
    for value in inferred.graph.output:
        if not value.type.tensor_type.HasField("shape"):
            value.CopyFrom(declared[value.name])  # nothing better is known, and one must be there
    del fixed, folded
    trim_heap()
    require_fitting(inferred)
    return inferred


def _with_shapes(model: ModelProto) -> ModelProto:
    """A copy with the shapes that ONNX infers.

    It knows nothing of ONNX Runtime's own (De)QuantizeLinear, which 16-bit activations have: for
    the inference these are the standard ones, which take 16 bits from opset 21 on.
    """
    own = [
        index
        for index, node in enumerate(model.graph.node)
        if node.domain == ONNX_RUNTIMES and node.op_type in _QUANTIZERS
    ]
    if not own:
        return with_shapes(model)
    standard = ModelProto()
    standard.CopyFrom(model)
    for index in own:
        standard.graph.node[index].domain = ""
    for opset in standard.opset_import:
        if not opset.domain:
            opset.version = max(opset.version, _FIRST_16_BIT_OPSET)
    inferred = with_shapes(standard)
    for index in own:
        inferred.graph.node[index].domain = ONNX_RUNTIMES
    refill(inferred.opset_import, model.opset_import)
    return inferred


def input_shapes_of(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of every real input (no initializer) by name; None for a dynamic axis."""
    return {value.name: _dims(value.type) for value in fed_inputs(model.graph)}


def output_shapes_of(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of every output by name; None for a dynamic axis."""
    return {value.name: _dims(value.type) for value in model.graph.output}


def fixed_input_shapes(model: ModelProto) -> dict[str, Shape]:
    """Return the input shapes of a prepared model. Raises ModelError if one is dynamic."""
    return {name: _fixed(name, shape, None) for name, shape in input_shapes_of(model).items()}


def _dims(kind: TypeProto) -> tuple[int | None, ...]:
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in kind.tensor_type.shape.dim
    )


def _with_fixed_inputs(model: ModelProto, shapes: Mapping[str, Shape]) -> ModelProto:
    declared = input_shapes_of(model)
    for name in shapes:
        if name not in declared:
            raise OptionError(
                f"{option('input')}: the model has no input {name!r}",
                f"its inputs are: {', '.join(declared)}",
            )
    fixed = ModelProto()
    fixed.CopyFrom(model)
    refill(fixed.graph.input, fed_inputs(fixed.graph))
    for value in fixed.graph.input:
        if not value.type.HasField("tensor_type"):
            raise ModelError(
                f"input {value.name!r} is no tensor but a {value.type.WhichOneof('value')}",
                "export the model with tensors alone",
            )
        kind = value.type.tensor_type
        if not kind.HasField("shape") and value.name not in shapes:
            raise ModelError(
                f"input {value.name!r} has no shape at all and no size was given",
                f"give one, for example {option('input', {value.name: [1, 3, 48, 192]})}",
            )
        shape = _fixed(value.name, declared[value.name], shapes.get(value.name))
        del kind.shape.dim[:]
        for size in shape:
            kind.shape.dim.add().dim_value = size
    del fixed.graph.value_info[:]
    return fixed


def _fixed(name: str, declared: tuple[int | None, ...], asked: Shape | None) -> Shape:
    if asked is None:
        # a free batch axis is the common case, and one image at a time is how the NPU runs it
        guess = tuple(1 if i == 0 and size is None else size for i, size in enumerate(declared))
        if any(size is None for size in guess):
            raise ModelError(
                f"input {name!r} has the dynamic shape {_shown(declared)} and no size was given",
                f"give one, for example {_example(name, declared)}",
            )
        return tuple(size for size in guess if size is not None)
    fits = len(asked) == len(declared) and all(
        have in (None, want) for have, want in zip(declared, asked, strict=True)
    )
    if not fits and declared:
        raise OptionError(
            f"input {name!r} has the shape {_shown(declared)}, which does not fit {_shown(asked)}",
            f"leave {option('size')} and {option('input')} out, or export the model for the other "
            "size",
        )
    return asked


def _example(name: str, declared: tuple[int | None, ...]) -> str:
    """Return options that fix an open shape, as a text; a size for what looks like an image."""
    is_last = len(declared) == 4 and declared[3] in (1, 3)
    images = [1, 48, 192, 3] if is_last else [1, 3, 48, 192]
    lengths = images if len(declared) == 4 else [1, *[100] * (len(declared) - 1)]
    shape = [length or usual for length, usual in zip(declared, lengths, strict=True)]
    by_name = option("input", {name: shape})
    if len(declared) != 4 or (not is_last and shape[1] not in (1, 3)):
        return by_name
    return f"{option('size', shape[1:3] if is_last else shape[2:])} or {by_name}"


def _shown(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _forgotten_output_shapes(model: ModelProto) -> dict[str, ValueInfoProto]:
    """Take the shapes from the outputs: inference finds them. Returns the outputs as declared.

    Some exporters declare wrong ones, and others are for another input size.
    """
    declared = {}
    inputs = {value.name: value for value in model.graph.input}
    for value in model.graph.output:
        declared[value.name] = ValueInfoProto.FromString(value.SerializeToString())
        if value.name in inputs:
            value.CopyFrom(inputs[value.name])
        elif value.type.HasField("tensor_type"):  # else touching it would make it one, undefined
            value.type.tensor_type.ClearField("shape")
    return declared


def _folded(model: ModelProto) -> ModelProto:
    _require_no_nan(model)
    folded = _fold_constants(model)
    canonicalize(folded)
    drop_without_effect(folded)
    pad_explicitly(folded)
    ungroup(folded)
    fold_affine(folded)
    return folded


def _require_no_nan(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        broken = int(np.isnan(numpy_helper.to_array(tensor)).sum())
        if broken:
            raise ModelError(
                f"the weight {tensor.name!r} holds NaN ({broken} of {int(np.prod(tensor.dims))} "
                "values)",
                "export the model again; a training run may have diverged",
            )


def _fold_constants(model: ModelProto) -> ModelProto:
    with scratch_folder() as folder:
        path = folder / "folded.onnx"
        try:
            Session(model, folded_to=path)
        except ModelError as error:
            raise _choosing_error(model, error) from error
        return onnx.load_model(str(path))


def _choosing_error(model: ModelProto, error: ModelError) -> ModelError:
    """The error, or where the model chooses by an input's value, that a branch may not fit."""
    for node, names in deciding_inputs(model).items():
        return ModelError(
            f"If {node!r} chooses by the value of the input {names[0]!r}, and a branch does not "
            f"fit the shapes of the inputs: {error.diagnostic.text.partition(': ')[2]}",
            f"fix that value with {option('constant', {names[0]: 1})}, or give other shapes with "
            f"{option('input')}",
        )
    return error


def _drop_unused_domains(model: ModelProto) -> None:
    """ONNX Runtime lists all its own operator domains; the toolkit refuses those it cannot know."""
    used = {node.domain for node in model.graph.node} | {""}
    refill(model.opset_import, (entry for entry in model.opset_import if entry.domain in used))
