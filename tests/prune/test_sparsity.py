"""2:4 sparse weights: what counts as one, what keeps it, and what the compiler makes of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from graphs import model_of
from rockpress.convert.chips.compiler_log import parse_layers
from rockpress.convert.chips.sparse_layers import sparse_axes, sparse_layers, sparse_warnings
from rockpress.convert.chips.targets import TARGETS, find_target
from rockpress.core.graphs.sparsity import Axis, axis_of, fours, is_sparse, sparse_axis
from rockpress.core.types import Array
from rockpress.quantize.methods.gptq import gptq

_RNG = np.random.default_rng(3)


def _pruned(weight: Array, axis: int) -> Array:
    """Two of four along an axis set to zero, at random."""
    weight = weight.copy()
    view = np.moveaxis(weight, axis, -1)
    order = _RNG.random((*view.shape[:-1], view.shape[-1] // 4, 4)).argsort(axis=-1)
    view *= (order < 2).reshape(view.shape)
    return weight


def _model(*layers: tuple[str, Array]) -> ModelProto:
    """Convolutions of kernel 3 one after the other."""
    names, weights = zip(*layers, strict=True)
    sources = ("x", *names)
    nodes = [
        f'[{name}] {name} = Conv <pads = [1,1,1,1]> ({source}, "{name}.w")'
        for source, name in zip(sources, names, strict=False)
    ]
    return model_of(
        f"(float[1,{weights[0].shape[1]},8,8] x) => ({names[-1]}) {{ {' '.join(nodes)} }}",
        {f"{name}.w": weight for name, weight in layers},
        opset=13,
        prepared=False,
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_two_of_four_zeros_are_found_on_their_own_axis(axis: int) -> None:
    dense = _RNG.normal(size=(16, 32, 3, 3))
    weight = _pruned(dense, axis)
    assert is_sparse(weight, axis)
    assert not is_sparse(weight, 1 - axis)
    assert not is_sparse(dense, axis)
    fours(weight, axis)[..., 0, :] = 1
    assert not is_sparse(weight, axis)


def test_channels_that_do_not_make_fours_are_not_sparse() -> None:
    assert not is_sparse(np.zeros((16, 30)), 1)


@pytest.mark.parametrize(
    ("node", "outputs_at"),
    [
        (helper.make_node("Conv", ["x", "w"], ["y"]), 0),
        (helper.make_node("Gemm", ["x", "w"], ["y"]), 1),
        (helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), 0),
        (helper.make_node("MatMul", ["x", "w"], ["y"]), 1),
    ],
)
def test_the_axes_follow_the_operator(node: onnx.NodeProto, outputs_at: int) -> None:
    weight = _pruned(_RNG.normal(size=(32, 32)), outputs_at)
    assert axis_of(node, "output") == outputs_at
    assert sparse_axis(node, weight) == "output"


def test_depthwise_and_zero_weights_do_not_count() -> None:
    grouped = helper.make_node("Conv", ["x", "w"], ["y"], group=4)
    plain = helper.make_node("Conv", ["x", "w"], ["y"])
    assert sparse_axis(grouped, _pruned(_RNG.normal(size=(16, 4, 1, 1)), 0)) is None
    assert sparse_axis(plain, np.zeros((16, 16, 1, 1))) is None


# what builds of single layers showed; see convert/chips/sparse_layers.py
@pytest.mark.parametrize(
    ("target", "dtype", "outputs", "inputs", "expected"),
    [
        ("rk3576", "w8a8", 64, 64, {"output", "input"}),
        ("rk3576", "w8a8", 16, 32, {"output", "input"}),
        ("rk3576", "w8a8", 64, 48, {"output"}),
        ("rk3576", "w8a8", 64, 5, {"output"}),
        ("rk3576", "w8a8", 64, 4, set()),
        ("rk3576", "w8a8", 36, 64, set()),
        ("rk3576", "float16", 64, 64, {"output"}),
        ("rk3576", "w4a16", 64, 64, set()),
        ("rv1126b", "w8a8", 64, 64, {"output"}),
        ("rk3588", "w8a8", 64, 64, set()),
    ],
)
def test_the_compiler_recognises_some_shapes_only(
    target: str, dtype: str, outputs: int, inputs: int, expected: set[Axis]
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    found = sparse_axes(find_target(target), dtype, node, np.zeros((outputs, inputs, 1, 1)))
    assert set(found) == expected


def test_sparsity_is_for_two_chips() -> None:
    assert [one.name for one in TARGETS if one.sparse] == ["rk3576", "rv1126b"]


def test_the_sparse_layers_of_a_model() -> None:
    dense = _RNG.normal(size=(32, 32, 3, 3))
    model = _model(("a", _pruned(dense, 1)), ("b", dense), ("c", _pruned(dense, 0)))
    assert sparse_layers(model, find_target("rk3576"), "w8a8") == ("a", "c")
    assert sparse_layers(model, find_target("rk3576"), "float16") == ("c",)
    assert sparse_layers(model, find_target("rk3588"), "w8a8") == ()


def test_gptq_leaves_the_zeros_of_a_mask_and_makes_up_for_them() -> None:
    inputs = _RNG.normal(size=(500, 3)) @ _RNG.normal(size=(3, 16))  # far from independent
    covariance = np.cov(inputs.T)[None]
    free = _pruned(np.ones((8, 16)), 1)[None] != 0
    matrix = _RNG.normal(size=(1, 8, 16)) * free
    scales = np.abs(matrix).max(axis=2) / 126
    held = gptq(matrix, covariance, scales, 126, free)
    assert not held[~free].any()
    assert gptq(matrix, covariance, scales, 126)[~free].any()  # or there was nothing to hold

    def error(steps: Array) -> float:
        lost = (matrix - steps * scales[:, :, None])[0]
        return float(np.trace(lost @ covariance[0] @ lost.T))

    assert error(held) < error(np.rint(matrix / scales[:, :, None]))


def test_the_layer_table_tells_what_is_sparse() -> None:
    rows = [
        "1 Conv INT8 NPU (1,64,28,28),(64,32,3,3),(64) (1,64,28,28) 132/282/282 50%(IC) 47 Conv:a",
        "2 Conv INT8 NPU (1,64,28,28),(32,64,3,3),(64) (1,64,28,28) 132/282/282 50%(OC) 47 Conv:b",
        "3 Conv INT8 NPU (1,64,28,28),(64,64,3,3),(64) (1,64,28,28) 184/282/282 0% 85 Conv:c",
        "4 Conv INT8 NPU (1,64,28,28),(64,64,3,3),(64) (1,64,28,28) 184/282/282 85 Conv:d",
    ]
    layers = parse_layers("Network Layer Information Table\n" + "\n".join(rows))
    found = [(one.name, one.sparse_ratio, one.sparse_axis) for one in layers]
    assert found == [
        ("Conv:a", 0.5, "input"),
        ("Conv:b", 0.5, "output"),
        ("Conv:c", 0.0, None),
        ("Conv:d", 0.0, None),
    ]
    codes = [one.code for one in sparse_warnings(["a", "b", "c"], layers)]
    assert codes == ["toolkit-sparse", "toolkit-sparse-cycles"]
    codes = [one.code for one in sparse_warnings(["a", "b"], layers)]
    assert codes == ["toolkit-sparse-cycles"]
    assert not list(sparse_warnings([], layers[2:]))
