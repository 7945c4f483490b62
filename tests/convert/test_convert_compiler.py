"""What the compiler says: its layer table, parsed, and our closed form of its cycles."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from graphs import model_of, random_feeds, random_weights
from rockpress.convert.chips.compiler_log import Layer, parse_layers, parse_memory
from rockpress.convert.chips.cycles import ddr_cycles, layer_cycles, npu_cycles
from rockpress.convert.chips.targets import TARGETS, find_target
from rockpress.convert.convert import convert
from rockpress.convert.oracle import Oracle
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.diagnostics import mentioned
from rockpress.core.errors import RockpressError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape, layers_of
from rockpress.core.results.model_figures import Memory
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")

CHAIN = [
    LayerShape("a", "conv", 64, 33, 3, 3, 1, 28, 28, 28, 28),
    LayerShape("b", "conv", 33, 65, 3, 3, 1, 28, 28, 28, 28),
    LayerShape("c", "depthwise", 65, 65, 3, 3, 65, 28, 28, 28, 28),
    LayerShape("d", "conv", 65, 33, 1, 1, 1, 28, 28, 28, 28),
    LayerShape("e", "conv", 33, 8, 1, 1, 1, 28, 28, 28, 28),
]
SHAPES = [
    LayerShape("a", "conv", 3, 64, 3, 3, 1, 28, 28, 28, 28),
    LayerShape("b", "conv", 64, 33, 3, 3, 1, 28, 28, 28, 28),
    LayerShape("c", "conv", 65, 48, 3, 3, 1, 15, 15, 15, 15),
    LayerShape("d", "conv", 129, 64, 1, 1, 1, 28, 28, 28, 28),
    LayerShape("e", "conv", 64, 16, 1, 1, 1, 7, 7, 7, 7),
    LayerShape("f", "conv", 32, 32, 5, 5, 1, 28, 28, 28, 28),
    LayerShape("g", "depthwise", 65, 65, 3, 3, 65, 28, 28, 28, 28),
    LayerShape("h", "depthwise", 64, 64, 5, 5, 64, 15, 15, 15, 15),
]


def convolutions(path: Path, shapes: list[LayerShape], *, chained: bool) -> Path:
    """The layers one after another, or each as a branch of its own."""
    nodes, inputs, outputs = [], [], []
    for number, layer in enumerate(shapes):
        name = layer.name
        source = f"y_{shapes[number - 1].name}" if chained and number else f"x_{name}"
        options = f"<pads = {[layer.kernel_h // 2] * 4}, group = {layer.groups}>"
        nodes.append(f"[{name}] y_{name} = Conv {options} ({source}, w_{name})")
        inputs.append(f"float[1,{layer.cin},{layer.in_h},{layer.in_w}] {source}")
        outputs.append(f"float[1,{layer.cout},{layer.out_h},{layer.out_w}] y_{name}")
    if chained:
        inputs, outputs = inputs[:1], outputs[-1:]
    weights = {
        f"w_{layer.name}": (
            *(layer.cout, layer.cin // layer.groups),
            *(layer.kernel_h, layer.kernel_w),
        )
        for layer in shapes
    }
    text = f"({', '.join(inputs)}) => ({', '.join(outputs)}) {{ {' '.join(nodes)} }}"
    onnx.save(model_of(text, random_weights(weights, scale=1), prepared=False), path)
    return path


def compiled(model: Path, target: str, dtype: str) -> dict[str, Layer]:
    """The rows of the compiler's table by node name."""
    if dtype == "float16":
        made = convert(ConversionRequest(model, None, target))
    else:
        calibration = random_feeds(onnx.load(model), 1, seed=1)
        made = convert(
            ConversionRequest(model, None, target, quantization="normal", calibration=calibration)
        )
    return {layer.name.removeprefix("Conv:"): layer for layer in made.layers}


@needs_toolkit
@pytest.mark.parametrize(
    ("target", "dtype"),
    [
        ("rk3588", "int8"),
        ("rk3588", "float16"),
        ("rk3576", "int8"),
        ("rk3562", "int8"),
        ("rk3566", "int8"),
        ("rv1106", "int8"),
        ("rv1106b", "int8"),
    ],
)
def test_arithmetic_equals_the_compilers_table(target: str, dtype: str, tmp_path: Path) -> None:
    table = compiled(convolutions(tmp_path / "m.onnx", SHAPES, chained=False), target, dtype)
    for one in SHAPES:
        row = table[one.name]
        assert npu_cycles(one, find_target(target), dtype) == row.npu_cycles, one
        assert row.total_cycles == max(row.npu_cycles, row.ddr_cycles)


# input, weight, stride, padding, groups
TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int, int]] = {
    "doubling": ((1, 24, 20, 24), (24, 100, 2, 2), 2, 0, 1),
    "overlapping": ((1, 64, 20, 20), (64, 33, 4, 4), 2, 1, 1),
    "same size": ((1, 64, 20, 20), (64, 64, 3, 3), 1, 1, 1),
    "one output": ((1, 24, 16, 16), (24, 1, 2, 2), 2, 0, 1),
    "depthwise": ((1, 96, 13, 17), (96, 1, 2, 2), 2, 0, 96),
}


@needs_toolkit
@pytest.mark.parametrize("target", ["rk3588", "rk3576", "rk3566"])
def test_a_transposed_convolution_works_on_its_outputs(target: str) -> None:
    nodes, inputs = [], []
    for name, (x, _, stride, pad, groups) in TRANSPOSED.items():
        options = f"<strides = {[stride] * 2}, pads = {[pad] * 4}, group = {groups}>"
        nodes.append(f'["{name}"] "{name}" = ConvTranspose {options} ("x {name}", "w {name}")')
        inputs.append(f'float{list(x)} "x {name}"')
    outputs = ", ".join(f'"{name}"' for name in TRANSPOSED)
    text = f"({', '.join(inputs)}) => ({outputs}) {{ {' '.join(nodes)} }}"
    weights = {f"w {name}": weight for name, (_, weight, *_) in TRANSPOSED.items()}
    model = model_of(text, random_weights(weights, scale=1), opset=13)
    with Oracle() as oracle:
        table = oracle.layers(model, target)
    rows = {one.name.partition(":")[2]: one for one in table if not one.is_boundary}
    for layer in layers_of(Graph(model)):
        assert npu_cycles(layer, find_target(target)) == rows[layer.name].npu_cycles, layer


@needs_toolkit
@pytest.mark.parametrize("target", ["rk3588", "rk3576", "rk3566", "rv1106"])
def test_memory_is_near_the_compilers_table(target: str, tmp_path: Path) -> None:
    table = compiled(convolutions(tmp_path / "m.onnx", CHAIN, chained=True), target, "int8")
    for one in CHAIN[:-1]:
        found = ddr_cycles(one, find_target(target))
        assert found == pytest.approx(table[one.name].ddr_cycles, rel=0.005), one


@needs_toolkit
def test_layers_on_the_cpu_are_named(tmp_path: Path) -> None:
    model = model_of(
        """(float[1,16,8,8] x) => (float[1,16,8,8] y) {
            [relu] r = Relu (x)
            [rounding] y = Round (r) }""",
        prepared=False,
    )
    onnx.save(model, tmp_path / "round.onnx")
    made = convert(ConversionRequest(tmp_path / "round.onnx", None, "rk3588"))
    assert [warning.code for warning in made.warnings] == ["cpu-fallback-layer"]
    assert "rounding" in made.warnings[0].text
    ((name, outputs),) = mentioned(made.warnings[0].hint)
    assert (name, outputs) == ("outputs", ["r"])
    cut = ready_model(tmp_path / "round.onnx", ModelOptions(outputs=tuple(outputs))).model
    onnx.save(cut, tmp_path / "cut.onnx")
    assert convert(ConversionRequest(tmp_path / "cut.onnx", None, "rk3588")).warnings == ()


def test_a_pruned_channel_below_a_step_saves_nothing() -> None:
    chip = find_target("rk3588")
    at = {
        cout: npu_cycles(LayerShape("c", "conv", 64, cout, 3, 3, 1, 28, 28, 28, 28), chip)
        for cout in (32, 33, 48, 64)
    }
    assert at[33] == at[48] == at[64] == 2 * at[32]


def test_a_format_the_chip_lacks() -> None:
    with pytest.raises(ValueError, match="rv1106 has no float16"):
        layer_cycles(SHAPES[0], find_target("rv1106"), "float16")


TABLE = """\
D RKNN: [04:02:12.201]                Network Layer Information Table
D RKNN: [04:02:12.201] -----------------------------------------------------------------------
D RKNN: [04:02:12.201] ID OpType DataType Target InputShape OutputShape Cycles(DDR/NPU/Total) \
SparseRatio  RW(KB) FullName
D RKNN: [04:02:12.201] -----------------------------------------------------------------------
D RKNN: [04:02:12.201] 0  InputOperator  INT8 CPU \\ (1,3,28,28) 0/0/0          0  InputOperator:x
D RKNN: [04:02:12.201] 1  ConvRelu INT8 NPU (1,3,28,28),(64,3,3,3),(64) (1,64,28,28) \
7414/14112/14112 50%(IC)  5  Conv:a layer
D RKNN: [04:02:12.201] 2  Split INT8 NPU (1,64,28,28) (1,32,28,28),(1,32,28,28) 0/0/0 9 Split:s
D RKNN: [04:02:12.201] 3  OutputOperator INT8 NPU (1,32,28,28) \\ 0/0/0 49 OutputOperator:y
D RKNN: [04:02:12.201] <<<<<<<< end: rknn::RKNNModelRegCmdbuildPass
D RKNN: [04:02:12.201] 1   ConvRelu       x        INT8      NC1HWC2      (1,3,28,28)
"""


def test_every_column_of_the_table() -> None:
    layers = parse_layers(f"Network Layer Information Table\n0 old table\n{TABLE}")
    assert [layer.op for layer in layers] == [
        "InputOperator",
        "ConvRelu",
        "Split",
        "OutputOperator",
    ]
    assert [layer.is_boundary for layer in layers] == [True, False, False, True]
    assert (layers[0].input_shapes, layers[0].output_shapes) == ((), ((1, 3, 28, 28),))
    assert layers[1].input_shapes == ((1, 3, 28, 28), (64, 3, 3, 3), (64,))
    assert (layers[1].ddr_cycles, layers[1].npu_cycles) == (7414, 14112)
    assert layers[1].name == "Conv:a layer"
    assert layers[2].output_shapes == ((1, 32, 28, 28),) * 2
    assert (layers[3].runs_on, layers[3].input_shapes) == ("NPU", ((1, 32, 28, 28),))
    assert layers[3].output_shapes == ()


def test_a_log_without_a_table() -> None:
    assert parse_layers("I rknn building ...") == ()
    assert parse_memory("Total Weight Memory Size: 11.5KB") is None


def test_memory_in_other_units() -> None:
    log = "Total Internal Memory Size: 2MB\nTotal Weight Memory Size: 512 B"
    assert parse_memory(log) == Memory(2 << 20, 512)


def test_the_toolkit_knows_every_target() -> None:
    names = [target.name for target in TARGETS]
    assert len(names) == len(set(names))
    assert find_target(" RK3576 ").dtypes == ("w8a8", "w4a16", "float16")
    assert (find_target("rk3588").cout_step, find_target("rk3566").cout_step) == (32, 16)
    assert find_target("rk2118").int8_macs_per_cycle == 0


def test_an_unknown_target_gets_a_proposal() -> None:
    with pytest.raises(RockpressError) as caught:
        find_target("rk3599")
    assert caught.value.exit_code == 2
    chips = ", ".join(target.name for target in TARGETS)
    assert caught.value.hint == f"did you mean --target rk3588? known targets: {chips}"
