"""A toolkit that teaches a board every model that it builds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from fake_toolkit import FakeToolkit
from rockpress.convert.toolkit.job import BuildResult, ToolkitJob
from rockpress.core.types import Array
from stand_in_board import StandInBoard

# what the board makes of (tensor, values)
Computes = Callable[[str, Array], Array]


@dataclass
class TeachingToolkit(FakeToolkit):
    """Has a board give what it simulates, as ``computes`` changes it, for the samples of a build.

    It computes in ONNX Runtime, or is the ``real`` one. ``built`` are the names of the outputs of
    each build.
    """

    board: StandInBoard | None = None
    computes: Computes = lambda name, values: values
    real: Callable[..., BuildResult] | None = None
    built: list[list[str]] = field(default_factory=list)

    def __call__(self, job: ToolkitJob, folder: Path, **others: object) -> BuildResult:
        build = self.real or super().__call__
        result = build(job, folder, **others)
        content = hashlib.sha256(Path(job.model).read_bytes()).hexdigest().encode()
        result.rknn.write_bytes(content)
        if result.outputs is not None and self.board is not None:
            self._teach(content, onnx.load(job.model), job, folder, result.outputs)
        return result

    def _teach(
        self,
        content: bytes,
        model: ModelProto,
        job: ToolkitJob,
        folder: Path,
        outputs: list[Array],
    ) -> None:
        assert self.board is not None
        names = [value.name for value in model.graph.output]
        self.built.append(names)
        scales = {name: _scale_of(model, name) for name in names}
        lines = []
        for name, output in zip(names, outputs, strict=True):
            shape = (1, *output.shape[1:])
            layout = "NCHW" if len(shape) == 4 else "UNDEFINED"
            kind = "float32" if scales[name] is None else "int8"
            scale = " ".join(map(repr, scales[name] or ()))
            lines.append(f"{name} {kind} {layout} {'x'.join(map(str, shape))} {scale}")
        place = content.decode()[:16]
        fed = [np.fromfile(folder / each.file, each.dtype) for each in job.inputs]
        for index in range(job.count):
            feeds = [column.reshape(job.count, -1)[index] for column in fed]
            rows = [
                _stored(self.computes(name, output[index]), scales[name])
                for name, output in zip(names, outputs, strict=True)
            ]
            answers = self.board.answer(feeds, rows, place)
        self.board.set_of_model(content, output=lines, answers=[answers])


def _scale_of(model: ModelProto, name: str) -> tuple[float, int] | None:
    """Return scale and zero point of an output that is dequantized, None of another."""
    makers = {output: node for node in model.graph.node for output in node.output}
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    node = makers[name]
    if node.op_type != "DequantizeLinear":
        return None
    return float(weights[node.input[1]]), int(weights[node.input[2]])


def _stored(values: Array, scale: tuple[float, int] | None) -> Array:
    if scale is None:
        return values.astype(np.float32)
    steps: Array = (np.round(values / scale[0]) + scale[1]).clip(-128, 127)
    return steps.astype(np.int8)
