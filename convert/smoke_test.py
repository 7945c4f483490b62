"""Does conversion work at all? One convolution, built and simulated the way every model is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ..core.progress import SILENT, Progress
from ..core.scratch import scratch_folder
from ..core.session import Session
from .convert import convert
from .lowering.scale_probe import one_convolution
from .request import ConversionRequest, ToolkitSettings


@dataclass(frozen=True)
class SmokeTest:
    """``steps`` is how far the simulator is off, in steps of the output's scale; 0 is exact."""

    target: str
    toolkit: str
    seconds: float
    steps: int


def run_smoke_test(
    target: str = "rk3588", *, toolkit_python: Path | None = None, progress: Progress = SILENT
) -> SmokeTest:
    """Build and simulate one quantized convolution. Raises ToolkitError when that fails."""
    model = one_convolution()
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    sample = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    started = time.monotonic()
    with scratch_folder() as folder:
        onnx.save(model, folder / "one_convolution.onnx")
        request = ConversionRequest(
            folder / "one_convolution.onnx",
            None,
            target,
            simulate=[sample],
            toolkit=ToolkitSettings(toolkit_python),
        )
        conversion = convert(request, progress)
    assert conversion.outputs is not None
    expected = Session(model, optimise=False).run(sample)[0]
    scales = {tensor.name: tensor for tensor in model.graph.initializer}
    scale = float(numpy_helper.to_array(scales[model.graph.node[-1].input[1]]))
    off = float(np.abs(conversion.outputs[0] - expected).max()) / scale
    return SmokeTest(conversion.target, conversion.toolkit, time.monotonic() - started, round(off))
