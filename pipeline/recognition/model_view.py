"""What a family of models sees of a model: names, shapes, operators and the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ...core.errors import ModelError
from ...core.graphs.constants import named_constants
from ...core.graphs.graph import extract_until, fed_inputs, read_by
from ...core.graphs.inference import with_shapes
from ...core.types import Array

# one a axis; None where it is free or not known
Dims = tuple[int | None, ...]
_CHANNELS = (1, 3)
_ARITHMETIC = "Add Sub Mul Div".split()
_MOVING = "Cast Transpose Slice Concat Reshape Identity Pad QuantizeLinear DequantizeLinear".split()
_SAME = "QuantizeLinear DequantizeLinear Identity Cast".split()
_EXAMPLE = 640  # height and width where any will do
_LARGEST_CONSTANT = 1 << 20  # values: a table of anchors is one, a layer's weight is of no use


@dataclass(frozen=True)
class TensorView:
    """An input or output: its name, its shape, () also where that is not known, and its type."""

    name: str
    shape: Dims
    dtype: str


@dataclass(frozen=True)
class ImageInput:
    """The one input that takes images; height and width are None where they are free."""

    name: str
    channels: int
    height: int | None
    width: int | None
    is_planar: bool = True

    @property
    def is_fixed(self) -> bool:
        """Whether height and width are fixed."""
        return None not in (self.height, self.width)


@dataclass(frozen=True)
class ModelView:
    """Look-ups over a model that was just read; nothing of it is changed, nor run.

    ``metadata`` and ``producer`` are what the exporter wrote. Constants that are kept outside of
    the file are not there. ``path`` is the file, for options that name it; its name says nothing.
    """

    model: ModelProto
    metadata: Mapping[str, str]
    path: Path = Path()

    @property
    def producer(self) -> str:
        """The exporter, with its version."""
        return f"{self.model.producer_name} {self.model.producer_version}".strip()

    @property
    def documentation(self) -> str:
        """The texts that the model and its graph carry for people."""
        return f"{self.model.doc_string}\n{self.model.graph.doc_string}".strip()

    @cached_property
    def inputs(self) -> tuple[TensorView, ...]:
        """The inputs that a user feeds."""
        return tuple(self._view(value) for value in fed_inputs(self.model.graph))

    @cached_property
    def outputs(self) -> tuple[TensorView, ...]:
        """The outputs, in their order, with shapes that are inferred where none is declared."""
        return tuple(self._view(value) for value in self.model.graph.output)

    @cached_property
    def image(self) -> ImageInput | None:
        """The one input of an image's shape; None where there is none, or several."""
        images = [tensor for tensor in self.inputs if len(tensor.shape) == 4]
        if len(images) != 1:
            return None
        name, (_, first, second, last) = images[0].name, images[0].shape
        if first in _CHANNELS:
            return ImageInput(name, first, second, last)
        return ImageInput(name, last, first, second, False) if last in _CHANNELS else None

    @cached_property
    def scales_input(self) -> bool:
        """Whether the graph itself scales its image before the first layer, as some exports do."""
        names = [self.image.name] if self.image is not None else []
        while names:
            for node in self.consumers.get(names.pop(), []):
                if node.op_type in _ARITHMETIC:
                    return True
                if node.op_type in _MOVING:
                    names += node.output
        return False

    @cached_property
    def operators(self) -> Mapping[str, int]:
        """How often each type of operator occurs."""
        return Counter(node.op_type for node in self.model.graph.node)

    @cached_property
    def producers(self) -> Mapping[str, NodeProto]:
        """Tensor -> the node that makes it."""
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def consumers(self) -> Mapping[str, list[NodeProto]]:
        """Tensor -> the nodes that read it."""
        readers: dict[str, list[NodeProto]] = {}
        for node in self.model.graph.node:
            for name in read_by(node):
                readers.setdefault(name, []).append(node)
        return readers

    @cached_property
    def shapes(self) -> Mapping[str, Dims]:
        """Tensor -> its shape, of all for which one can be inferred."""
        return _inferred(self.model)

    @cached_property
    def fixed_shapes(self) -> Mapping[str, Dims]:
        """As ``shapes``, for a batch of one and images of 640x640 where that is free."""
        if all(None not in tensor.shape for tensor in self.inputs):
            return self.shapes
        fixed = ModelProto()
        fixed.CopyFrom(self.model)
        for value in fixed.graph.input:
            axes = value.type.tensor_type.shape.dim
            lengths = (1, _EXAMPLE, _EXAMPLE, _EXAMPLE) if len(axes) == 4 else (1,) * len(axes)
            for axis, length in zip(axes, lengths, strict=True):
                axis.dim_value = axis.dim_value or length
        for value in fixed.graph.output:
            value.type.tensor_type.ClearField("shape")
        del fixed.graph.value_info[:]
        return _inferred(fixed)

    def constant(self, name: str) -> Array | None:
        """Return a constant of the graph; None for another tensor, and for one that is large.

        One that is quantized is given as the numbers that it stands for.
        """
        maker = self.producers.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear":
            return self._dequantized(maker)
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            return None
        if np.prod(tensor.dims, dtype=np.int64) > _LARGEST_CONSTANT:
            return None
        with suppress(ValueError):  # it is cut short
            return np.asarray(numpy_helper.to_array(tensor))
        return None

    def _dequantized(self, node: NodeProto) -> Array | None:
        """Return what a DequantizeLinear of one scale makes of a constant."""
        values, *rest = (self.constant(name) for name in node.input)
        steps = [part.item() for part in rest if part is not None and part.size == 1]
        if values is None or len(steps) < len(rest):
            return None
        scaled: Array = (values.astype(np.float64) - sum(steps[1:])) * steps[0]
        return scaled

    def source(self, name: str) -> str:
        """Return the tensor that a tensor is but another number format or name of."""
        node = self.producers.get(name)
        while node is not None and node.op_type in _SAME:
            name = node.input[0]
            node = self.producers.get(name)
        return name

    def is_constant(self, name: str) -> bool:
        """Return whether a tensor is a constant of the graph."""
        return name in self._constants

    @cached_property
    def _constants(self) -> Mapping[str, TensorProto]:
        return dict(named_constants(self.model))

    def _view(self, value: onnx.ValueInfoProto) -> TensorView:
        dims = _dims(value) if _has_shape(value) else self.shapes.get(value.name, ())
        return TensorView(value.name, dims, _dtype(value.type.tensor_type.elem_type))


def view_of(model: ModelProto, outputs: tuple[str, ...] = (), path: Path = Path()) -> ModelView:
    """Return the view of a model, ended at ``outputs`` if there are any that it computes all."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    computed = {name for node in model.graph.node for name in node.output}
    if not (outputs and computed.issuperset(outputs)):
        return ModelView(model, metadata, path)
    ended = extract_until(model, outputs)
    ended.producer_name, ended.producer_version = model.producer_name, model.producer_version
    ended.doc_string, ended.graph.doc_string = model.doc_string, model.graph.doc_string
    return ModelView(ended, metadata, path)


def _inferred(model: ModelProto) -> dict[str, Dims]:
    graph = model.graph
    with suppress(ModelError):  # whoever runs it says more
        graph = with_shapes(model).graph
    values = [*graph.input, *graph.value_info, *graph.output]
    inferred = {value.name: _dims(value) for value in values if _has_shape(value)}
    return {**inferred, **{name: tuple(tensor.dims) for name, tensor in named_constants(model)}}


def _has_shape(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.HasField("shape"))


def _dims(value: onnx.ValueInfoProto) -> Dims:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.dim_value > 0 else None for axis in axes)


def _dtype(kind: int) -> str:
    is_type = kind and kind in TensorProto.DataType.values()
    return str(helper.tensor_dtype_to_np_dtype(kind)) if is_type else ""
