"""The graph of the layers that the compiler makes: what is joined, what feeds what, whose rows."""

from __future__ import annotations

from graphs import model_of
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.predicted.fused_graph import fused_graph
from rockpress.convert.predicted.predicted_table import predicted_layers

RK3588 = find_target("rk3588")
CONV = "kernel_shape=[3,3], pads=[1,1,1,1]"
RESIDUAL = f"""(float[1,16,8,8] x) => (y) {{
    [a] c = Conv<{CONV}>(x, u) [b] r = Relu(c)
    [d] e = Conv<{CONV}>(r, v) [f] s = Add(x, e)
    [g] p = GlobalAveragePool(s) [h] y = Flatten(p) }}"""
WEIGHTS = {"u": (16, 16, 3, 3), "v": (16, 16, 3, 3)}


def row(index: int, name: str, runs_on: str = "NPU") -> Layer:
    return Layer(index, name.partition(":")[0], "INT8", runs_on, (), (), 0, 0, 0, name)


def test_joined_operators_are_one_node_that_knows_what_it_reads() -> None:
    nodes = fused_graph(model_of(RESIDUAL, WEIGHTS), RK3588, (), {"s": 31.5})
    assert [(node.name, node.op, node.inputs) for node in nodes] == [
        ("x", "Input", ()),
        ("a", "ConvRelu", (0,)),
        ("d", "ConvAdd", (0, 1)),
        ("g", "GlobalAveragePool", (2,)),
        ("y", "Output", (3,)),
    ]
    assert nodes[1].operators == ("Conv a", "Relu b")
    assert [node.sqnr_db for node in nodes] == [None, None, 31.5, None, None]


def test_rows_of_the_table_are_found_by_what_their_names_begin_with() -> None:
    names = [
        *("InputOperator:x", "Conv:a", "exDataConvert:r", "Conv:d_ConvAdd", "Conv:s_gavg_2conv0"),
        *("Reshape:y.float_mm_tp_rs", "OutputOperator:y", "Conv:another"),
    ]
    rows = [row(index, name) for index, name in enumerate(names)]
    nodes = fused_graph(model_of(RESIDUAL, WEIGHTS), RK3588, rows, {})
    assert [node.layers for node in nodes] == [(0,), (1, 2), (3,), (4, 5), (6,)]


def test_of_two_names_the_longer_one_counts() -> None:
    text = (
        f"(float[1,16,8,8] x) => (y) {{ [k] c = Conv<{CONV}>(x, u) [k_1] y = Conv<{CONV}>(c, v) }}"
    )
    nodes = fused_graph(
        model_of(text, WEIGHTS), RK3588, [row(0, "Conv:k_1#2"), row(1, "Conv:k#2")], {}
    )
    assert [node.layers for node in nodes] == [(), (1,), (0,), ()]


def test_every_predicted_row_is_in_the_graph() -> None:
    model = model_of(RESIDUAL, WEIGHTS)
    rows = predicted_layers(model, RK3588)
    nodes = fused_graph(model, RK3588, rows, {})
    assert sorted(index for node in nodes for index in node.layers) == list(range(len(rows)))
