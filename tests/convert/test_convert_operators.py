"""The table of operators beside the toolkit, and what its log says about the CPU."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from audits import audit_codes, model_from_x, only
from rockpress.convert.audit.cpu_layers import cpu_warnings
from rockpress.convert.audit.model_audit import audit
from rockpress.convert.audit.operator_audit import CONDITIONS
from rockpress.convert.chips.compiler_log import fallback_reasons, parse_layers
from rockpress.convert.chips.operators import OFF_NPU
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import Limits
from rockpress.convert.toolkit.job import ToolkitJob, run_job
from rockpress.core.errors import RockpressError
from rockpress.core.scratch import scratch_folder

pytestmark = pytest.mark.toolkit

RK3588 = find_target("rk3588")
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


def test_operators_that_go_to_the_cpu_are_named_once() -> None:
    model = model_from_x("{ a = Exp(x) b = ReduceMax<axes=[1]>(a) y = Relu(b) }")
    one = only(audit(model, RK3588, quantization="float16"))
    assert one.code == "cpu-fallback-operator"
    assert "Exp 'a', ReduceMax 'b' run on the CPU of rk3588" in one.text


def test_ordinary_layers_stay_on_the_npu() -> None:
    nodes = """{ a = Conv(x, w) b = Relu(a) p = MaxPool<kernel_shape=[2,2]>(b)
        g = GlobalAveragePool(p) f = Flatten(g) y = Softmax<axis=1>(f) }"""
    assert audit_codes(model_from_x(nodes)) == []
    assert audit_codes(model_from_x(nodes), "float16") == []
    assert audit_codes(model_from_x(nodes), target="rk3566") == [
        "cpu-fallback-operator"
    ]  # the Softmax


def resize(mode: str, how: str, factor: float) -> str:
    return (
        f"<float[4] k = {{1, 1, {factor}, {factor}}}> "
        f'{{ y = Resize<mode="{mode}", coordinate_transformation_mode="{how}">(x, , k) }}'
    )


SIMPLE = {  # condition -> a node that meets it and one that does not
    "padding not counted": (
        "{ y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) }",
        "{ y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x) }",
    ),
    "to an integer": ("{ y = Cast<to=7>(x) }", "{ y = Cast<to=10>(x) }"),
    "two tensors": (
        "{ s = Sigmoid(x) y = Div(x, s) }",
        "<float k = {2.0}> { y = Div(x, k) }",
    ),
    "two vectors": (
        "{ s = GlobalAveragePool(x) f = Flatten(s) r = Relu(f) y = Div(f, r) }",
        "<int64[3] k = {1, 8, 100}> { s = Reshape(x, k) r = Relu(s) y = Div(s, r) }",
    ),
    "of fewer than four axes": (
        "{ s = GlobalAveragePool(x) f = Flatten(s) r = Relu(f) y = Max(f, r) }",
        "{ r = Relu(x) y = Max(x, r) }",
    ),
    "defaults left out": (
        "<float[8] g = {1,1,1,1,1,1,1,1}> { y = LayerNormalization<axis=-1>(x, g) }",
        "<float[8] g = {1,1,1,1,1,1,1,1}> "
        "{ y = LayerNormalization<axis=-1, epsilon=0.00001>(x, g) }",
    ),
    "a constant by a tensor": (
        "<float k = {2.0}> { y = Div(k, x) }",
        "<float k = {2.0}> { y = Div(x, k) }",
    ),
    "computed indices": (
        "<float[3] k = {1, 2, 3}> { i = Cast<to=6>(x) y = Gather(k, i) }",
        "<int64[2] i = {1, 2}> { y = Gather<axis=1>(x, i) }",
    ),
    "with a single number": (
        "<float k = {0.0}> { y = Max(x, k) }",
        "{ s = Sigmoid(x) y = Max(x, s) }",
    ),
    "exponent 0.5": ("<float k = {0.5}> { y = Pow(x, k) }", "<float k = {2.0}> { y = Pow(x, k) }"),
    "a broken exponent": (
        "<float k = {1.5}> { y = Pow(x, k) }",
        "<float k = {3.0}> { y = Pow(x, k) }",
    ),
    "outside a norm": (
        "{ y = Sqrt(x) }",
        "{ m = ReduceMean<axes=[1]>(x) y = Sqrt(m) }",
    ),
    "outside a GELU": (
        "{ y = Erf(x) }",
        "<float o = {1.0}> { e = Erf(x) a = Add(e, o) y = Mul(x, a) }",
    ),
    "linear, aligned corners": (
        resize("linear", "align_corners", 2),
        resize("linear", "half_pixel", 2),
    ),
    "linear, broken factor": (
        resize("linear", "half_pixel", 1.5),
        resize("nearest", "half_pixel", 1.5),
    ),
    "cubic": (resize("cubic", "half_pixel", 2), resize("linear", "half_pixel", 2)),
    "a step other than 1": (
        "<int64[1] b={0}, int64[1] e={9}, int64[1] a={2}, int64[1] s={2}> "
        "{ y = Slice(x, b, e, a, s) }",
        "<int64[1] b={0}, int64[1] e={9}, int64[1] a={2}, int64[1] s={1}> "
        "{ y = Slice(x, b, e, a, s) }",
    ),
}


@pytest.mark.parametrize("where", sorted(SIMPLE))
def test_conditions_of_the_table(where: str) -> None:
    meets, does_not = (model_from_x(nodes) for nodes in SIMPLE[where])
    form = "float16" if where == "two vectors" else "normal"
    assert audit_codes(meets, form) in (["cpu-fallback-operator"], ["toolkit-operator"])
    assert audit_codes(does_not, form) == []


def test_a_norm_stays_on_the_npu_but_on_the_smallest_chips() -> None:
    inside = model_from_x(SIMPLE["outside a norm"][1])
    assert (
        audit_codes(inside, target="rv1106")
        == audit_codes(inside, target="rv1103")
        != audit_codes(inside)
    )


def test_the_table_uses_known_conditions_and_operators() -> None:
    assert {row.where for row in OFF_NPU} - {""} == set(CONDITIONS)
    assert set(SIMPLE) | {"inside a norm"} == set(CONDITIONS)
    assert all(onnx.defs.has(row.operator) for row in OFF_NPU)


def test_operators_on_constants_alone_are_folded() -> None:
    assert audit_codes(model_from_x("<float k = {2.0}> { e = Exp(k) y = Mul(x, e) }")) == []


def test_operators_on_shapes_alone_are_folded() -> None:
    """However far behind the shape; one that reads a value of the input too is not."""
    nodes = """<int64 five = {5}> { s = Size(x) n = Neg(s) g = Greater(n, five)
        c = Cast<to=1>(g) y = Mul(x, c) }"""
    assert audit_codes(model_from_x(nodes)) == []
    computed = nodes.replace("Neg(s)", "Max(s, v)").replace("{ s", "{ v = Cast<to=7>(x) s")
    warning = only(audit(model_from_x(computed), RK3588, quantization="float16"))
    assert "Greater 'g'" in warning.text


def test_the_hint_for_a_log_softmax_replaces_it() -> None:
    log = LOG.replace("Softmax", "LogSoftmax")
    *_, warning = cpu_warnings((), log, model_from_x("{ y = Relu(x) }"))
    assert warning.hint.endswith("and its logarithm on the host")


@needs_toolkit
def test_the_compiler_gives_to_the_cpu_what_the_table_says(tmp_path: Path) -> None:
    nodes = """<int64[4] r = {1, 1, 2, 2}, float k = {0.0}>
        { a = Relu(x) b = Exp(a) c = Tile(a, r) d = ReduceMax<axes=[1]>(a) e = Min(a, k)
          f = Sigmoid(a) g = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(a) h = Tanh(a) }"""
    model = model_from_x(nodes, "b c d e f g h")
    path = tmp_path / "operators.onnx"
    onnx.save(model, str(path))
    done = convert(ConversionRequest(path, None, "rk3588", quantization="float16"))
    slow = {one.op for one in done.layers if one.runs_on == "CPU" and not one.is_boundary}
    assert slow == {"Exp", "Tile", "ReduceMax", "Min", "AveragePool"}
    text = only(audit(model, RK3588, quantization="float16")).text
    assert all(f"{operator} '" in text for operator in slow)


@needs_toolkit
def test_the_toolkit_refuses_what_the_audit_says(tmp_path: Path) -> None:
    model = model_from_x("{ n = NonZero(x) y = Cast<to=1>(n) }")
    path = tmp_path / "refused.onnx"
    onnx.save(model, str(path))
    assert "toolkit-operator" in audit_codes(model, "float16")
    with pytest.raises(RockpressError, match="constant"):
        convert(ConversionRequest(path, None, "rk3588", quantization="float16"))


LOG = """\
W RKNN: [07:23:19.368] Transpose will fallback to CPU, because input shape has exceeded the max \
limit, height(400) * width(64) = 25600, required product no larger than 8192!
W RKNN: [07:23:19.368] Transpose will fallback to CPU, because input shape has exceeded the max \
limit, height(400) * width(64) = 25600, required product no larger than 8192!
D RKNN: [07:23:04.627] Softmax:transpose Perm{0, 2, 3, 1} RKNPU not support, fallback CPU implement
D RKNN: [07:23:04.627] >>>>>> start: rknn::RKNNSetOpTargetPass
"""
TABLE = """\
D RKNN: [07:23:20.000]   Network Layer Information Table
D RKNN: [07:23:20.000] 1    Transpose  FLOAT16  CPU  (1,8,400,64) (1,8,64,400)  0/0/0   800   t
D RKNN: [07:23:20.000] 2    exSoftmax13  FLOAT16  NPU  (1,8,400,64) (1,8,400,64)  0/0/0   800   s
"""


def test_the_log_says_why_once_for_each_reason() -> None:
    assert fallback_reasons(LOG) == {
        "Transpose": "height(400) * width(64) = 25600, and the limit is 8192",
        "Softmax": "transpose Perm{0, 2, 3, 1} RKNPU not support",
    }
    warnings = list(cpu_warnings((), LOG, model_from_x("{ y = Relu(x) }")))
    assert [warning.text.partition(":")[0] for warning in warnings] == [
        "the compiler gives Transpose to the CPU",
        "the compiler gives Softmax to the CPU",
    ]
    assert {warning.code for warning in warnings} == {"cpu-fallback-layer"}


def test_a_layer_of_the_table_is_told_once_with_its_reason() -> None:
    """And what the table has on the NPU was not given to the CPU."""
    model = model_from_x("{ y = Relu(x) }")
    (warning,) = cpu_warnings(parse_layers(LOG + TABLE), LOG + TABLE, model)
    assert warning.text == (
        "1 of 2 layers runs on the CPU: t (Transpose: height(400) * width(64) = 25600, and the "
        "limit is 8192)"
    )


JOINED = """\
D RKNN: [13:33]   Network Layer Information Table
D RKNN: [13:33] 7 Concat INT8 CPU (1,64,20,20),(1,128,20,20) (1,192,20,20)  0/0/0   125   Concat:j
D RKNN: [13:33]   Feature Tensor Information Table
D RKNN: [13:33] 6   Conv    /x   INT8     NC1HWC2  (1,64,40,40)   | 0x00064000
D RKNN: [13:33] 7   Concat  /a   INT8     NC1HWC2  (1,64,20,20)   | 0x00019000
D RKNN: [13:33] 7   Concat  /b   FLOAT16  NC1HWC2  (1,128,20,20)  | 0x00019000
"""


def test_a_join_of_two_number_formats_is_told_with_both() -> None:
    """The NPU joins one at a time; to replace the operator would be no help."""
    model = model_from_x("{ y = Relu(x) }")
    (warning,) = cpu_warnings(parse_layers(JOINED), JOINED, model)
    assert "Concat:j (Concat: reads INT8 (/a) and FLOAT16 (/b))" in warning.text
    assert warning.hint.startswith("bring what such a layer reads into one number format")
    (warning,) = cpu_warnings(parse_layers(JOINED), JOINED.replace("FLOAT16", "INT8"), model)
    assert "Concat:j (Concat)" in warning.text and "number format" not in warning.hint


def test_a_log_without_such_lines_gives_nothing() -> None:
    assert fallback_reasons("I RKNN: [07:00:00.000] compress = 0\nrknn building ...") == {}


@needs_toolkit
def test_the_log_of_the_toolkit_itself_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "pool.onnx"
    model = model_from_x("{ y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) }")
    onnx.save(model, str(path))
    with scratch_folder() as folder:
        job = ToolkitJob(str(path), {"target_platform": "rk3588"})
        log = run_job(job, folder, label="pool", limits=Limits(300, 12)).log
    assert fallback_reasons(log) == {"AveragePool": "count_include_pad=0"}
    assert [each.text for each in cpu_warnings(parse_layers(log), log, model)] == [
        "1 of 3 layers runs on the CPU: AveragePool:y (AveragePool: count_include_pad=0)"
    ]
