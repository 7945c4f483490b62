"""What the toolkit does not round between a layer and what follows it, for benchmarks/operators.py.

Small models, one branch for each activation behind a layer, are quantized by rockpress, and built
at the toolkit's level 3. The simulator's output is compared with the quantized model in ONNX
Runtime as it is, and without the scale between the layer and its activation: SQNR in dB.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from onnx import ModelProto, numpy_helper, parser

from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array, Feeds
from rockpress.quantize.quantize import quantize

_SIDE, _CHANNELS, _SAMPLES, _SIMULATED = 12, 16, 12, 4
# layer -> its nodes from x to c, the shape of its weight
_LAYERS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "Conv 3x3": ("c = Conv <pads=[1,1,1,1]> (x, w, b)", (16, 16, 3, 3)),
    "Conv 1x1": ("c = Conv (x, w, b)", (16, 16, 1, 1)),
    "Conv depthwise": ("c = Conv <pads=[1,1,1,1], group=16> (x, w, b)", (16, 1, 3, 3)),
    "Conv of two groups": ("c = Conv <pads=[1,1,1,1], group=2> (x, w, b)", (16, 8, 3, 3)),
    "ConvTranspose": ("c = ConvTranspose <strides=[2,2]> (x, w, b)", (16, 16, 2, 2)),
}
_ERF = "d = Div (c, root) e = Erf (d) f = Add (e, one)"
# activation -> its nodes from c to p
_ACTIVATIONS = {
    "SiLU": "g = Sigmoid (c) p = Mul (c, g)",
    "HardSwish": "g = HardSigmoid <alpha=0.16666667> (c) p = Mul (c, g)",
    "HardSwish spelt out": "a = Add (c, three) k = Clip (a, zero, six) m = Mul (c, k) "
    "p = Div (m, six)",
    "GELU": f"{_ERF} g = Mul (c, f) p = Mul (g, half)",
    "Mish": "s = Softplus (c) t = Tanh (s) p = Mul (c, t)",
    "Sigmoid": "p = Sigmoid (c)",
    "Tanh": "p = Tanh (c)",
    "Elu": "p = Elu (c)",
    "HardSigmoid": "p = HardSigmoid (c)",
    "Relu": "p = Relu (c)",
    "Clip": "p = Clip (c, zero, six)",
}
_NUMBERS = {"zero": 0.0, "half": 0.5, "one": 1.0, "three": 3.0, "six": 6.0, "root": 2**0.5}


def print_roundings(target: str) -> None:
    """Print a Markdown table for a chip: two figures a cell, as it is and without that scale."""
    print(f"| {target} | {' | '.join(_ACTIVATIONS)} |\n|{'---|' * (1 + len(_ACTIVATIONS))}")
    for layer in _LAYERS:
        cells = [f"{before:.0f} / {after:.0f}" for before, after in _measured(layer, target)]
        print(f"| {layer} | {' | '.join(cells)} |", flush=True)


def _measured(layer: str, target: str) -> Iterator[tuple[float, float]]:
    """Yield the SQNR in dB of the simulator to both models, of one activation after another."""
    model, random = prepare_model(_model(layer)), np.random.default_rng(1)
    shape = (1, _CHANNELS, _SIDE, _SIDE)
    samples: list[Feeds] = [
        {"x": random.standard_normal(shape, dtype=np.float32)} for _ in range(_SAMPLES)
    ]
    simulate = samples[:_SIMULATED]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantize(model, path, Path(folder) / "plan.toml", samples, method="min-max")
        request = ConversionRequest(
            path, None, target, calibration=samples, simulate=simulate, level=3
        )
        simulated = convert(request).outputs or []
        quantized = load_model(path)
    models = (quantized, _without_scales(quantized))
    expected = [Session(each, keeps_scales=True).stacked(simulate) for each in models]
    for output, before, after in zip(simulated, *expected, strict=True):
        shaped = [output.reshape(before.shape)]
        yield sqnr_db([before], shaped), sqnr_db([after], shaped)


def _without_scales(quantized: ModelProto) -> ModelProto:
    """Return the model whose activations read what the layers, named c and a number, compute."""
    graph, changed = Graph(quantized), ModelProto()
    changed.CopyFrom(quantized)
    sources = {}
    for node in graph.nodes:
        maker = graph.producers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if maker is not None and maker.input[0].startswith("c"):
            sources[node.output[0]] = maker.input[0]
    for node in changed.graph.node:
        node.input[:] = [sources.get(name, name) for name in node.input]
    return changed


def _model(layer: str) -> ModelProto:
    """Return a branch for each activation behind layers with weights of their own."""
    nodes, shape = _LAYERS[layer]
    random, branches = np.random.default_rng(0), list[str]()
    weights: dict[str, Array] = {name: np.asarray(value) for name, value in _NUMBERS.items()}
    for index, activation in enumerate(_ACTIVATIONS.values()):
        branch = f"{nodes} {activation} y = Conv (p, v)"
        branch = re.sub(r"\b(?!x\b)([a-z])\b", rf"\g<1>{index}", branch)
        branches.append(branch)
        weights[f"w{index}"] = random.standard_normal(shape) * 2 / np.sqrt(np.prod(shape[1:]))
        weights[f"b{index}"] = random.standard_normal(shape[0]) / 2
        weights[f"v{index}"] = random.standard_normal((8, _CHANNELS, 1, 1)) / 4
    side = _SIDE * (2 if layer == "ConvTranspose" else 1)
    outputs = ", ".join(f"float[1,8,{side},{side}] y{index}" for index in range(len(branches)))
    head = f"(float[1,{_CHANNELS},{_SIDE},{_SIDE}] x) => ({outputs})"
    text = f'<ir_version: 8, opset_import: ["": 17]> net {head} {{ {" ".join(branches)} }}'
    model = parser.parse_model(text)
    for name, value in weights.items():
        tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
        model.graph.initializer.append(tensor)
    return model
