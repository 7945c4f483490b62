"""The networks are built as they were published, down to the part that stays in float16."""

from __future__ import annotations

from importlib import import_module
from math import prod

import onnx
import pytest


def build(model: str) -> onnx.ModelProto:
    architectures = import_module("benchmarks.latency.architectures").ARCHITECTURES
    network: onnx.ModelProto = architectures[model]()
    return network


# parameters of the fused network, as the exporter of its authors prints them
@pytest.mark.parametrize(("model", "millions"), [("yolov8n-pose", 3.29), ("yolo11m", 20.09)])
def test_a_rebuilt_network_has_the_parameters_of_its_export(model: str, millions: float) -> None:
    weights = build(model).graph.initializer
    sizes = [prod(weight.dims) for weight in weights if len(weight.dims) != 2]
    assert sum(sizes) / 1e6 == pytest.approx(millions, rel=0.002)


def test_only_the_key_points_of_pose_are_in_float16() -> None:
    network = build("yolov8n-pose")
    (entry,) = network.metadata_props
    wide = set(entry.value.split())
    outputs = [output.name for output in network.graph.output]
    assert [name in wide for name in outputs] == [False, False, False, True]
    makers = {name: node for node in network.graph.node for name in node.output}
    read = {name for tensor in wide for name in makers[tensor].input if name in makers}
    assert len(read - wide) == 3  # on each scale, what the first convolution writes
    assert {makers[name].op_type for name in read - wide} == {"Mul"}


def test_a_network_in_int8_alone_names_no_tensors_in_float16() -> None:
    assert not build("yolov8n").metadata_props
