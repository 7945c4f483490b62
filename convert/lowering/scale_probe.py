"""Does the installed toolkit move the scales of symmetric tensors? Asked of a one-layer model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from ...core.scratch import scratch_folder
from ...core.session import Session
from ...core.types import Float32
from ..toolkit.environment import toolkit_version
from ..toolkit.failures import Limits
from ..toolkit.job import RawInput, ToolkitJob, run_job
from .qdq_lowering import lower_qdq

# measured; any other version is tested when it is first used
_KNOWN = {"2.3.0": False, "2.3.2": False, "2.5.0": True}
_TARGET = "rk3588"
_SHAPE = (1, 8, 16, 16)
_LIMITS = Limits(timeout=300, memory_gb=12)


def needs_lowering(python: Path | None = None) -> bool:
    """Return whether QDQ models must be lowered for the toolkit of that interpreter."""
    version = toolkit_version(python)
    return _KNOWN[version] if version in _KNOWN else is_nearer_lowered(python)


@lru_cache
def is_nearer_lowered(python: Path | None = None) -> bool:
    """Simulate one quantized convolution in both forms; True when the lowered one agrees better.

    Raises ToolkitError when the toolkit cannot build even that.
    """
    intended = one_convolution()
    sample = np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
    expected = Session(intended, optimise=False).run({"x": sample})[0]
    plain, moved = (
        float(np.abs(_simulate(model, sample, python) - expected).mean())
        for model in (intended, lower_qdq(intended))
    )
    return moved < plain


def one_convolution() -> ModelProto:
    """Return a quantized 3x3 convolution with ReLU: int8, no zero point 0, weights within 126."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-126, 127, (16, 8, 3, 3)).astype(np.int8)
    scale = rng.uniform(0.002, 0.004, 16).astype(np.float32)
    constants = {
        "x_scale": np.float32(0.03),
        "x_zero": np.int8(-5),
        "w": weight,
        "w_scale": scale,
        "w_zero": np.zeros(16, np.int8),
        "b": rng.integers(-900, 900, 16).astype(np.int32),
        "b_scale": scale * np.float32(0.03),
        "b_zero": np.zeros(16, np.int32),
        "y_scale": np.float32(0.04),
        "y_zero": np.int8(3),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_d"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_d"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["b_d"], axis=0),
        helper.make_node("Conv", ["x_d", "w_d", "b_d"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("QuantizeLinear", ["r", "y_scale", "y_zero"], ["y_q"]),
        helper.make_node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one_convolution",
        [helper.make_tensor_value_info("x", 1, list(_SHAPE))],
        [helper.make_tensor_value_info("y", 1, [1, 16, 16, 16])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _simulate(model: ModelProto, sample: Float32, python: Path | None) -> Float32:
    with scratch_folder() as folder:
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        sample.tofile(folder / "input0.raw")
        job = ToolkitJob(
            model="model.onnx",
            config={"target_platform": _TARGET, "optimization_level": 2},
            inputs=(RawInput("input0.raw", "float32", _SHAPE, "nchw"),),
            count=1,
        )
        built = run_job(job, folder, label="the self-test", limits=_LIMITS, python=python)
        assert built.outputs is not None
        return np.array(built.outputs[0])
