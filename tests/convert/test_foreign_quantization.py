"""Files that ONNX Runtime's quantizer made with operators of its own."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from graphs import model_of
from rockpress.convert.chips.targets import find_target
from rockpress.convert.request import choose_quantization
from rockpress.core.errors import OptionError

TEXT = """(float[1,4] x) => (float[1,4] y) {
    [x_q] q = com.microsoft.QuantizeLinear (x, scale, zero)
    d = com.microsoft.DequantizeLinear (q, scale, zero)
    [w_d] w = com.microsoft.DequantizeLinear (w_q, scale, w_zero)
    y = MatMul (d, w) }"""


def quantized(activations: type[np.generic], four_bits: bool = False) -> ModelProto:
    """Return such a file; weights are of 8 bits or 4."""
    weights = {"scale": np.float32(0.1), "zero": activations(3), "w_zero": np.int8(0)}
    model = model_of(
        TEXT,
        {**weights, "w_q": np.ones((4, 4), np.int8)},
        domains=["com.microsoft"],
        prepared=False,
    )
    if four_bits:
        for tensor in model.graph.initializer:
            if tensor.name == "w_q":
                tensor.CopyFrom(helper.make_tensor("w_q", TensorProto.INT4, (4, 4), [1] * 16))
            if tensor.name == "w_zero":
                tensor.CopyFrom(helper.make_tensor("w_zero", TensorProto.INT4, (), [0]))
    return model


@pytest.mark.parametrize(
    ("model", "target", "culprit", "hint"),
    [
        (quantized(np.int16), "rk3562", "'x_q' is com.microsoft.QuantizeLinear of int16", "w8a16"),
        (quantized(np.uint16), "rk3588", "'x_q' is com.microsoft.QuantizeLinear of uint16", ""),
        (quantized(np.uint8), "rk3562", "'x_q' is com.microsoft.QuantizeLinear of uint8", ""),
        (quantized(np.uint8, True), "rk3576", "DequantizeLinear of int4", "w4a16"),
        (quantized(np.int16, True), "rk3562", "'w_d' is com.microsoft.DequantizeLinear of", ""),
    ],
)
def test_the_node_and_its_type_are_named(
    model: ModelProto, target: str, culprit: str, hint: str
) -> None:
    chip = find_target(target)
    with pytest.raises(OptionError, match=culprit) as raised:
        choose_quantization(model, "auto", None, chip)
    schemes = {"w8a16", "w4a16"} & set(raised.value.hint.replace(",", " ").split())
    assert raised.value.hint.startswith("give the float model")
    assert schemes == ({hint} if hint else set())
    assert schemes <= set(chip.dtypes)
