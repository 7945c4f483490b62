"""check builds a .rknn again in just the way that convert came to build it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike

from commands import Run
from fake_toolkit import FakeToolkit, Refuses, is_without
from graphs import model_of, random_feeds, small_cnn
from rockpress.convert.manifest import CalibrationRecord, manifest_path, read_manifest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import ToolkitJob
from samples import save_feeds

COUNT = 6
RULE, OTHER_RULE = "remove_dataconvert_for_q_op", "convert_gemm_by_conv"
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


# what the toolkit crashes on, and how it is built in the end: way, level, rules that are off
WAYS: dict[str, tuple[Refuses, str, int, list[str]]] = {
    "level 3": (lambda job: False, "qdq", 3, []),
    "level 2": (lambda job: job.config["optimization_level"] == 3, "qdq", 2, []),
    "rule off": (is_without(RULE), "qdq", 3, [RULE]),
    "hybrid": (lambda job: job.plan is None, "hybrid", 3, []),
    "normal": (lambda job: job.plan is not None or not job.dataset, "normal", 3, []),
}


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> FakeToolkit:
    fake = FakeToolkit()
    monkeypatch.setattr("rockpress.convert.toolkit_build.run_job", fake)
    monkeypatch.setattr("rockpress.convert.toolkit_build.needs_lowering", lambda python: True)
    return fake


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    return save_feeds(tmp_path / "calib.npz", random_feeds(small_cnn(), COUNT))


@pytest.fixture
def quantized(small_cnn: Path, calib: Path, rockpress: Run) -> Path:
    """The QDQ model, its plan beside it."""
    path = small_cnn.with_name("q.onnx")
    words = ["--calib", calib, "--method", "min-max", "--mixed", "off"]
    assert rockpress("quantize", small_cnn, "-o", path, *words).code == 0
    return path


def rebuilt(rockpress: Run, toolkit: FakeToolkit, model: Path, rknn: Path, calib: Path) -> Any:
    """Check a .rknn; return its report, once it was built as it was by the last job of convert."""
    final = toolkit.jobs[-1]
    toolkit.jobs.clear()
    ended = rockpress("check", model, rknn, "--calib", calib, "--json")
    assert ended.code == 0, ended.err
    assert toolkit.jobs == [final]
    return json.loads(ended.out)["targets"][0]


@needs_toolkit
@pytest.mark.parametrize("way", WAYS)
def test_a_plan_is_built_again_the_way_it_came_to(
    way: str, toolkit: FakeToolkit, small_cnn: Path, calib: Path, quantized: Path, rockpress: Run
) -> None:
    toolkit.refuses, *expected = WAYS[way]
    rknn = small_cnn.with_name("m.rknn")
    words = ["--plan", quantized.with_suffix(".plan.toml"), "--calib", calib]
    ended = rockpress("convert", small_cnn, "-o", rknn, *words)
    assert ended.code == 0, ended.err
    manifest = read_manifest(manifest_path(rknn))
    assert [manifest.quantization, manifest.level, [*manifest.disabled]] == expected
    graph = rebuilt(rockpress, toolkit, small_cnn, rknn, calib)["graph"]
    assert (graph[0]["op"], graph[-1]["op"]) == ("Input", "Output") and len(graph) > 2


@needs_toolkit
def test_what_is_inside_a_quantized_model_is_built_again(
    toolkit: FakeToolkit, small_cnn: Path, calib: Path, quantized: Path, rockpress: Run
) -> None:
    """Wherever the file is: nothing beside it is needed."""
    moved = quantized.rename(small_cnn.parent / "moved.onnx")
    small_cnn.rename(small_cnn.with_name("elsewhere.onnx"))
    toolkit.refuses = lambda job: job.plan is None
    rknn = moved.with_name("m.rknn")
    assert rockpress("convert", moved, "-o", rknn, "--calib", calib).code == 0
    assert read_manifest(manifest_path(rknn)).quantization == "hybrid"
    rebuilt(rockpress, toolkit, moved, rknn, calib)
    assert rockpress("convert", moved, "-o", rknn, "--calib", calib, "--route", "hybrid").code == 0
    rebuilt(rockpress, toolkit, moved, rknn, calib)


@needs_toolkit
def test_rules_that_raised_stay_off(
    toolkit: FakeToolkit, small_cnn: Path, calib: Path, quantized: Path, rockpress: Run
) -> None:
    """Beside the one that a crash had switched off, and without trying either again."""
    toolkit.refuses, toolkit.raises_in = is_without(RULE), OTHER_RULE
    rknn = small_cnn.with_name("m.rknn")
    assert rockpress("convert", quantized, "-o", rknn, "--calib", calib).code == 0
    assert read_manifest(manifest_path(rknn)).disabled == (RULE, OTHER_RULE)
    report = rebuilt(rockpress, toolkit, small_cnn, rknn, calib)
    assert not {"toolkit-crash", "toolkit-rule-disabled"} & {w["code"] for w in report["warnings"]}


@needs_toolkit
@pytest.mark.parametrize(
    ("words", "dtype"),
    [
        ([], "float16"),
        (["--target", "rk3562", "--toolkit-quantizer", "normal", "--scheme", "w8a16"], "w8a16"),
        (["--toolkit-quantizer", "mmse"], "w8a8"),
    ],
)
def test_what_the_toolkit_makes_of_a_float_model(
    words: list[str],
    dtype: str,
    toolkit: FakeToolkit,
    small_cnn: Path,
    calib: Path,
    rockpress: Run,
) -> None:
    rknn = small_cnn.with_name("m.rknn")
    ended = rockpress("convert", small_cnn, "-o", rknn, "--calib", calib, *words)
    assert ended.code == 0, ended.err
    assert read_manifest(manifest_path(rknn)).dtype == dtype
    rebuilt(rockpress, toolkit, small_cnn, rknn, calib)


@needs_toolkit
def test_another_version_of_the_toolkit_is_told(
    toolkit: FakeToolkit, small_cnn: Path, calib: Path, rockpress: Run
) -> None:
    rknn = small_cnn.with_name("m.rknn")
    assert rockpress("convert", small_cnn, "-o", rknn, "--calib", calib).code == 0
    toolkit.version = "2.3.2"
    report = rebuilt(rockpress, toolkit, small_cnn, rknn, calib)
    (warning,) = (w for w in report["warnings"] if w["code"] == "toolkit-other-version")
    assert "2.5.0" in warning["text"] and "2.3.2" in warning["text"]
    assert warning["hint"] == "name a Python that has 2.5.0 with --toolkit-python"
    toolkit.version = "2.5.0"
    report = rebuilt(rockpress, toolkit, small_cnn, rknn, calib)
    assert "toolkit-other-version" not in [warning["code"] for warning in report["warnings"]]


# the grid and the strides of a detector's boxes, in float between tensors of int8
DECODING = """(float[1,8,16,16] x) => (float[1,4,256] y) {
    x_q = QuantizeLinear (x, scale, zero)       x_d = DequantizeLinear (x_q, scale, zero)
    w_d = DequantizeLinear (w, w_scale, zero)   c = Conv <pads = [1,1,1,1]> (x_d, w_d)
    c_q = QuantizeLinear (c, scale, zero)       c_d = DequantizeLinear (c_q, scale, zero)
    r = Reshape (c_d, shape)
    r_q = QuantizeLinear (r, scale, zero)       r_d = DequantizeLinear (r_q, scale, zero)
    s = Slice (r_d, first, second, axis)
    s_q = QuantizeLinear (s, scale, zero)       s_d = DequantizeLinear (s_q, scale, zero)
    t = Slice (r_d, second, third, axis)
    t_q = QuantizeLinear (t, scale, zero)       t_d = DequantizeLinear (t_q, scale, zero)
    low = Sub (grid, s_d)
    low_q = QuantizeLinear (low, scale, zero)   low_d = DequantizeLinear (low_q, scale, zero)
    high = Add (grid, t_d)
    high_q = QuantizeLinear (high, scale, zero) high_d = DequantizeLinear (high_q, scale, zero)
    box = Concat <axis = 1> (low_d, high_d)
    box_q = QuantizeLinear (box, scale, zero)   box_d = DequantizeLinear (box_q, scale, zero)
    m = Mul (box_d, strides)
    m_q = QuantizeLinear (m, scale, zero)       y = DequantizeLinear (m_q, scale, zero) }"""


@pytest.mark.toolkit
@needs_toolkit
def test_what_crashed_with_a_rule_is_simulated_without_it(tmp_path: Path, rockpress: Run) -> None:
    random = np.random.default_rng(0)
    weights: dict[str, ArrayLike] = {
        "scale": np.float32(0.05),
        "zero": np.int8(0),
        "w_scale": np.float32(0.01),
        "w": random.integers(-127, 127, (8, 8, 3, 3)).astype(np.int8),
        "grid": random.normal(size=(1, 2, 256)),
        "strides": np.full((1, 256), 8.0),
        "shape": np.array([1, 8, 256]),
        **{name: np.array([2 * index]) for index, name in enumerate(("first", "second", "third"))},
        "axis": np.array([1]),
    }
    model, rknn = tmp_path / "m.onnx", tmp_path / "m.rknn"
    onnx.save(model_of(DECODING, weights, prepared=False), model)
    calib = save_feeds(tmp_path / "calib.npz", random_feeds(onnx.load(model), 2))
    ended = rockpress("convert", model, "-o", rknn, "--calib", calib)
    assert ended.code == 0, ended.err
    manifest = read_manifest(manifest_path(rknn))
    if manifest.toolkit == "2.5.0":
        assert (manifest.level, manifest.disabled) == (3, (RULE,)) and "SIGSEGV" in ended.err
    ended = rockpress("check", model, rknn, "--calib", calib, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["targets"][0]["retention"]["sqnr_db"] > 20


def is_quantized(job: ToolkitJob) -> bool:
    return "DequantizeLinear" in {node.op_type for node in onnx.load(job.model).graph.node}


@needs_toolkit
@pytest.mark.parametrize(
    ("refuses", "fallback", "said"),
    [
        (lambda job: False, None, "quantized by min-max, as asked"),
        (is_quantized, "hybrid", "by the toolkit (hybrid) in the ranges of min-max, which was"),
        (
            lambda job: is_quantized(job) or job.plan is not None,
            *("normal", "by the toolkit (normal) instead of min-max, which was asked for"),
        ),
    ],
)
def test_a_run_says_what_quantized_in_the_end(
    refuses: Refuses,
    fallback: str | None,
    said: str,
    toolkit: FakeToolkit,
    small_cnn: Path,
    calib: Path,
    rockpress: Run,
) -> None:
    toolkit.refuses = refuses
    build = small_cnn.with_name("build")
    words = ["--calib", calib, "--method", "min-max", "--mixed", "off", "-o", build]
    ended = rockpress("run", small_cnn, *words)
    assert ended.code == 0, ended.err
    assert said in ended.out
    (target,) = json.loads((build / "report.json").read_text())["targets"]
    assert target["quantization"]["fallback"] == fallback


@needs_toolkit
def test_the_manifest_says_how_many_samples_and_which_seed(
    toolkit: FakeToolkit, small_cnn: Path, calib: Path, rockpress: Run
) -> None:
    build, rknn = small_cnn.with_name("build"), small_cnn.with_name("m.rknn")
    words = ["--calib", calib, "--calib-count", COUNT - 2, "--seed", 7]
    done = rockpress("run", small_cnn, *words, "--method", "min-max", "--mixed", "off", "-o", build)
    assert done.code == 0, done.err
    quantizer = ["--toolkit-quantizer", "normal"]
    assert rockpress("convert", small_cnn, "-o", rknn, *words, *quantizer).code == 0
    for file in (build / "rk3588" / "small_cnn.rknn", rknn):
        assert read_manifest(manifest_path(file)).calibration == CalibrationRecord(COUNT - 2, 7)
    assert rockpress("convert", small_cnn, "-o", rknn, "--scheme", "float16").code == 0
    assert read_manifest(manifest_path(rknn)).calibration is None
