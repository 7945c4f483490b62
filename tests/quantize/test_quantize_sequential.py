"""Biases corrected layer by layer, in the quantized network itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from graphs import Samples, model_of, random_feeds, random_weights
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.scratch import scratch_folder
from rockpress.core.session import Session
from rockpress.core.streaming.tensor_stream import with_outputs
from rockpress.core.types import Array
from rockpress.quantize.graph_parts.placement import place
from rockpress.quantize.graph_parts.weighted_layers import WeightedLayer, layers_from
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.qdq import computed_names
from rockpress.quantize.statistics.sample_subset import SampleSubset

# a residual block, a depthwise layer, one that a graph output shows, and one without a bias
NET = """(float[1,4,8,8] x) => (float[1,6,8,8] shown, float[1,5] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    d = Conv <group=8, pads=[1,1,1,1]> (r, w2)
    c = Clip (d, low, high)
    e = Conv (c, w3, b3)
    s = Add (e, r)
    shown = Conv (s, w4, b4)
    t = Sigmoid (shown)
    g = GlobalAveragePool (t)
    f = Flatten (g)
    h = MatMul (f, w5)
    k = Relu (h)
    y = Gemm <transB=1> (k, w6, b6) }"""
SHAPES = {
    **{"w1": (8, 4, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "w3": (8, 8, 1, 1), "b3": (8,)},
    **{"w4": (6, 8, 1, 1), "b4": (6,), "w5": (6, 7), "w6": (5, 7), "b6": (5,)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    weights = random_weights(SHAPES, biases=1 / np.sqrt(2))
    return model_of(NET, {**weights, "low": 0.0, "high": 1.5})


def samples_of(count: int, seed: int = 0) -> Samples:
    return random_feeds({"x": (1, 4, 8, 8)}, count, seed, shift=0.5)


def channel_means(model: ModelProto, tensors: list[str], samples: Samples) -> list[Array]:
    """Mean of each channel of each tensor, all samples together."""
    session = Session(with_outputs(model, tensors), optimise=False)
    found = [session.run(feeds, tensors) for feeds in samples]
    values = [np.concatenate(one) for one in zip(*found, strict=True)]
    return [one.mean(axis=(0, *range(2, one.ndim)), dtype=np.float64) for one in values]


def layers_with_biases(net: ModelProto) -> list[WeightedLayer]:
    graph = Graph(net)
    return [layer for layer in layers_from(graph, place(graph).weights) if layer.bias is not None]


def lost_means(net: ModelProto, file: Path, samples: Samples) -> float:
    """By how much the mean of any channel of any layer is off, at most."""
    quantized = load_model(file)
    names = [layer.name for layer in layers_with_biases(net)]
    held = computed_names(net, quantized)
    before = channel_means(net, names, samples)
    after = channel_means(quantized, [held[name] for name in names], samples)
    return max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("count", [1, 30])
def test_the_mean_of_every_layer_is_that_of_the_float_model(
    count: int, net: ModelProto, tmp_path: Path
) -> None:
    samples = samples_of(count)
    lost = {}
    for method in ("min-max", "gptq", "gptq-sequential"):
        file = tmp_path / f"{method}.onnx"
        quantize(net, file, tmp_path / "p.toml", samples, method=method)
        lost[method] = lost_means(net, file, samples)
    assert len(layers_with_biases(net)) == 5
    # what is left is the rounding of the bias to int32, and of sums to float32
    units = Graph(load_model(tmp_path / "gptq-sequential.onnx")).weights
    largest = max(
        value.max() for name, value in units.items() if name.endswith("bias.dequantized.scale")
    )
    assert lost["gptq-sequential"] < largest / 2 + 1e-6
    assert min(lost.values()) == lost["gptq-sequential"]
    assert lost["gptq"] > 1e-3


def test_the_order_of_ranges_and_weights_is_that_of_the_method_it_refines(
    net: ModelProto, tmp_path: Path
) -> None:
    files, plans = [tmp_path / "a.onnx", tmp_path / "b.onnx"], []
    for file, method in zip(files, ("gptq-min-max", "gptq-min-max-sequential"), strict=True):
        plans.append(quantize(net, file, tmp_path / "p.toml", samples_of(9), method=method).plan)
    assert plans[0].activations == plans[1].activations
    first, second = (Graph(load_model(file)).weights for file in files)
    changed = {name for name in first if not np.array_equal(first[name], second[name])}
    assert changed
    assert all(".bias." in name for name in changed)


def test_no_files_are_left_behind(
    net: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with scratch_folder() as folder:
        assert folder.is_relative_to(tmp_path / "temporary")
    quantize(net, tmp_path / "q.onnx", tmp_path / "p", samples_of(3), method="gptq-sequential")
    assert list((tmp_path / "temporary").iterdir()) == []


@settings(max_examples=25)
@given(count=st.integers(0, 200), second=st.integers(0, 60))
def test_few_samples_are_spread_over_all(count: int, second: int) -> None:
    few = SampleSubset()
    streams = range(count), range(count, count + second)
    for stream in streams:
        passed = [one["file"].item() for one in few.passing({"file": np.array(i)} for i in stream)]
        assert passed == list(stream)
    kept = [int(one["file"]) for one in few]
    assert len(kept) == len(few) <= 48
    assert len(kept) >= min(20, count + second)
    assert kept[:1] == [0][: count + second]
    widest = np.diff(kept, append=count + second).max(initial=0)
    assert widest <= max(1, 3 * (count + second) / max(len(kept), 1))
