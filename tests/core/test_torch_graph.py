"""How an ONNX graph is run in torch: the order in memory, and the gradients of a Clip."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import Weights, model_of
from rockpress.core.training.torch_graph import TorchGraph

pytestmark = pytest.mark.torch

_CONVOLUTIONS = """(float[1,3,9,9] x) => (y) {
    a = Conv <strides = [2,2], pads = [0,0,1,1]> (x, w1, b1)
    b = Clip (a, low, high)
    c = Conv <group = 8, strides = [2,2], pads = [1,0,2,3]> (b, w2, b2)
    d = Conv (c, w3, b3)
    y = Relu (d) }"""
_WEIGHTS: Weights = {
    **{"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (6, 8, 1, 1)},
    **{"b3": (6,), "low": np.float32(-0.5), "high": np.float32(0.5)},
}


def test_channels_stay_innermost_also_where_pads_differ() -> None:
    import torch

    graph = TorchGraph(model_of(_CONVOLUTIONS, _WEIGHTS))
    samples = torch.randn(5, 1, 3, 9, 9)
    for name in ("a", "b", "c", "y"):
        (value,) = graph({"x": samples}, [name])
        flat = value.flatten(0, 1)
        assert flat.stride(1) == 1, name
        assert flat.shape[1] > 1


def test_samples_at_once_give_what_each_gives_alone() -> None:
    import torch

    graph = TorchGraph(model_of(_CONVOLUTIONS, _WEIGHTS))
    samples = torch.randn(5, 1, 3, 9, 9)
    (together,) = graph({"x": samples})
    for sample, value in zip(samples, together, strict=True):
        (alone,) = graph({"x": sample[None]})
        assert torch.allclose(alone[0], value, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_the_gradient_of_a_clip(low: float, high: float) -> None:
    import torch

    weights = {"low": np.float32(low), "high": np.float32(high)}
    graph = TorchGraph(model_of("(float[6] x) => (y) { y = Clip (x, low, high) }", weights))
    values = torch.tensor([[-3.0, -0.5, 0.25, 1.5, 5.0, 9.0]], requires_grad=True)
    (clipped,) = graph({"x": values})
    clipped.sum().backward()
    assert torch.equal(clipped, values.clamp(low, high))
    assert torch.equal(values.grad != 0, (values > low) & (values < high))
