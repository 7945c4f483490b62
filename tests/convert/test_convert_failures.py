"""Every way in which the toolkit fails, provoked, and what is left behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper

from graphs import model_of, model_of_nodes
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest, ToolkitSettings
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import (
    Limits,
    ToolkitCrashed,
    ToolkitExited,
    ToolkitHung,
    ToolkitMissing,
    ToolkitNotFinite,
    ToolkitOutOfMemory,
    ToolkitRaised,
    ToolkitRefused,
    ToolkitSilent,
    ToolkitTimeout,
)
from rockpress.convert.toolkit.job import ToolkitJob, run_job
from rockpress.convert.toolkit_build import ToolkitBuild, build
from rockpress.core.progress import Progress

pytestmark = [
    pytest.mark.toolkit,
    pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]

LIMITS = Limits(timeout=120, memory_gb=12)
OLD = b"the .rknn of an earlier run"


@pytest.fixture
def old_output(tmp_path: Path) -> Iterator[Path]:
    """A file from an earlier run, which a failed conversion must not touch."""
    path = tmp_path / "out" / "old.rknn"
    path.parent.mkdir()
    path.write_bytes(OLD)
    yield path
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture
def dynamic_op(tmp_path: Path) -> Path:
    """NonZero of an input: its output's shape depends on the values."""
    path = tmp_path / "nonzero.onnx"
    text = "(float[1,3,8,8] x) => (int64[4,?] y) { [where] y = NonZero (x) }"
    onnx.save(model_of(text, prepared=False), path)
    return path


def python_that(tmp_path: Path, script: str) -> Path:
    """An "interpreter" for --toolkit-python that does what the shell script says."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_an_operator_it_cannot_build(dynamic_op: Path, old_output: Path) -> None:
    with pytest.raises(ToolkitRaised) as caught:
        convert(ConversionRequest(dynamic_op, old_output, "rk3588"))
    assert "could not build nonzero.onnx for rk3588" in caught.value.message
    assert "NonZero('where') need to be constant" in caught.value.message
    assert "\n" not in caught.value.message
    assert "cut the graph" in caught.value.hint
    assert "librknnc" in caught.value.log or "fuse_ops" in caught.value.log


def test_the_toolkit_returns_minus_one(small_cnn: Path, tmp_path: Path) -> None:
    """rv1103 has no float16; the option check would say so, so the job goes round it."""
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "model.rknn").write_bytes(OLD)
    (folder / "result.json").write_text(json.dumps({"stage": "export", "toolkit": "stale"}))
    job = ToolkitJob(model=str(small_cnn), config={"target_platform": "rv1103"})
    with pytest.raises(ToolkitRefused, match="not support do_quantization = False"):
        run_job(job, folder, label="small_cnn.onnx for rv1103", limits=LIMITS)
    assert not (folder / "model.rknn").exists()


def test_a_time_limit(small_cnn: Path, old_output: Path) -> None:
    with pytest.raises(ToolkitTimeout, match=r"within 0\.3 s"):
        convert(
            ConversionRequest(small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(timeout=0.3))
        )


def test_a_memory_limit(small_cnn: Path, old_output: Path) -> None:
    with pytest.raises(ToolkitOutOfMemory, match=r"within 0\.25 GB"):
        convert(
            ConversionRequest(
                small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(memory_limit_gb=0.25)
            )
        )


def test_the_toolkit_calls_exit(small_cnn: Path, old_output: Path, tmp_path: Path) -> None:
    python = python_that(tmp_path, 'echo "E load_onnx: the model is odd"; exit 255')
    with pytest.raises(ToolkitExited, match="the model is odd"):
        convert(
            ConversionRequest(
                small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(python=python)
            )
        )


def test_the_toolkit_dies_by_a_signal(small_cnn: Path, old_output: Path, tmp_path: Path) -> None:
    python = python_that(tmp_path, "kill -SEGV $$")
    with pytest.raises(ToolkitCrashed, match="SIGSEGV") as caught:
        convert(
            ConversionRequest(
                small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(python=python)
            )
        )
    assert caught.value.signal == signal.SIGSEGV


def test_the_toolkit_hangs(small_cnn: Path, tmp_path: Path) -> None:
    """Asleep for good, long before its time is up."""
    folder = tmp_path / "job"
    folder.mkdir()
    python = python_that(tmp_path, "sleep 600")
    limits = Limits(timeout=600, memory_gb=12, idle=1)
    job = ToolkitJob(model=str(small_cnn), config={"target_platform": "rk3588"})
    with pytest.raises(ToolkitHung, match=r"it hung, using no processor time for 1 s"):
        run_job(job, folder, label="small_cnn.onnx", limits=limits, python=python)


def test_a_toolkit_that_works_does_not_hang(small_cnn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    python = python_that(tmp_path, "while :; do :; done")
    limits = Limits(timeout=4, memory_gb=12, idle=2)
    job = ToolkitJob(model=str(small_cnn), config={"target_platform": "rk3588"})
    with pytest.raises(ToolkitTimeout, match="within 4 s"):
        run_job(job, folder, label="small_cnn.onnx", limits=limits, python=python)


def test_a_toolkit_that_is_stopped_does_not_hang(small_cnn: Path, tmp_path: Path) -> None:
    """By Ctrl-Z, or with all of a container: it could not work meanwhile."""
    folder = tmp_path / "job"
    folder.mkdir()
    python = python_that(tmp_path, "(sleep 4; kill -CONT $$) & kill -STOP $$; exit 3")
    limits = Limits(timeout=600, memory_gb=12, idle=2)
    job = ToolkitJob(model=str(small_cnn), config={"target_platform": "rk3588"})
    with pytest.raises(ToolkitExited):
        run_job(job, folder, label="small_cnn.onnx", limits=limits, python=python)


def test_the_simulator_computes_nan(tmp_path: Path, old_output: Path) -> None:
    """1000 x 1000 is beyond float16, and infinity minus infinity is not a number."""
    model = model_of(
        """(float[1,4,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w)
            b = Relu (a)
            c = Neg (b)
            d = Relu (a)
            y = Add (c, d) }""",
        {"w": np.full((4, 4, 1, 1), 1000, np.float32)},
        prepared=False,
    )
    path = tmp_path / "large.onnx"
    onnx.save(model, path)
    samples = [{"x": np.full((1, 4, 8, 8), 1000, np.float32)}]
    with pytest.raises(ToolkitNotFinite, match="NaN or infinity") as caught:
        convert(ConversionRequest(path, old_output, "rk3588", simulate=samples))
    assert "65504" in caught.value.hint


def test_the_toolkit_reports_success_and_writes_nothing(
    small_cnn: Path, old_output: Path, tmp_path: Path
) -> None:
    result = json.dumps({"stage": "export", "toolkit": "9.9"})
    python = python_that(tmp_path, f"echo '{result}' > result.json")
    with pytest.raises(ToolkitSilent, match=r"9\.9 reported success, but wrote no \.rknn"):
        convert(
            ConversionRequest(
                small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(python=python)
            )
        )


def test_processes_of_the_toolkit_die_with_it(small_cnn: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    python = python_that(tmp_path, f"sleep 600 & echo $! > {note}; exit 1")
    with pytest.raises(ToolkitExited):
        convert(
            ConversionRequest(
                small_cnn, None, "rk3588", toolkit=ToolkitSettings(python=python, timeout=6000)
            )
        )
    assert has_ended(int(note.read_text()))


def has_ended(pid: int) -> bool:
    """Within some seconds; whoever inherits an orphan may leave it a zombie for a while."""
    try:
        process = psutil.Process(pid)
        for _ in range(100):
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        return True
    return False


def test_no_such_interpreter(small_cnn: Path, old_output: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolkitMissing, match="cannot start"):
        convert(
            ConversionRequest(
                small_cnn, old_output, "rk3588", toolkit=ToolkitSettings(python=tmp_path / "absent")
            )
        )


def test_an_interpreter_without_the_toolkit(small_cnn: Path, tmp_path: Path) -> None:
    # -S leaves site-packages out; numpy is then as absent as the toolkit
    python = python_that(tmp_path, f'exec "{sys.executable}" -S "$@"')
    with pytest.raises(ToolkitMissing, match="cannot be imported: ModuleNotFoundError"):
        convert(
            ConversionRequest(small_cnn, None, "rk3588", toolkit=ToolkitSettings(python=python))
        )


def test_gdq_without_torch(small_cnn: Path) -> None:
    pytest.importorskip("rknn")
    if _has_torch():
        pytest.skip("torch is installed")
    sample = {"x": np.zeros((1, 3, 32, 32), np.float32)}
    with pytest.raises(ToolkitMissing, match="without PyTorch") as caught:
        convert(
            ConversionRequest(
                small_cnn, None, "rk3576", quantization="gdq", dtype="w4a16", calibration=[sample]
            )
        )
    assert "pip install 'torch<=2.4'" in caught.value.hint


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def test_ctrl_c_ends_the_child(small_cnn: Path, old_output: Path) -> None:
    class Interrupting(Progress):
        def step(self, activity: str, done: int, total: int | None = None) -> None:
            if activity == "build":
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        convert(ConversionRequest(small_cnn, old_output, "rk3588"), Interrupting())


def test_the_child_dies_with_its_parent(small_cnn: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from rockpress.convert.convert import convert\n"
        "from rockpress.convert.request import ConversionRequest\n"
        "from rockpress.core.progress import Progress\n"
        "class Printing(Progress):\n"
        "    def step(self, activity, done, total=None): print(activity, flush=True)\n"
        f"convert(ConversionRequest(Path({str(small_cnn)!r}), None, 'rk3588'), Printing())\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(home)},
    )
    assert parent.stdout is not None
    assert any(line == b"import\n" for line in parent.stdout)
    children = psutil.Process(parent.pid).children()
    assert len(children) == 1
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


class Quantized:
    """Builds a small int8 QDQ model node by node; ``model()`` returns it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Any] = {}
        self.random = np.random.default_rng(0)

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def qdq(self, tensor: str) -> str:
        self.weights |= {f"{tensor}_s": np.float32(0.05), f"{tensor}_z": np.int8(3)}
        scale = [f"{tensor}_s", f"{tensor}_z"]
        stored = self.node("QuantizeLinear", [tensor, *scale], f"{tensor}_q")
        return self.node("DequantizeLinear", [stored, *scale], f"{tensor}_d")

    def conv(self, source: str, name: str, shape: tuple[int, ...], *, quantized: bool) -> str:
        kernel = self.random.integers(-126, 127, shape).astype(np.int8)
        scale = self.random.uniform(0.0005, 0.001, shape[0]).astype(np.float32)
        weight = f"{name}_w"
        if quantized:
            zero = np.zeros(shape[0], np.int8)
            self.weights |= {f"{name}_k": kernel, f"{name}_s": scale, f"{name}_z": zero}
            stored = [f"{name}_k", f"{name}_s", f"{name}_z"]
            self.node("DequantizeLinear", stored, weight, axis=0)
        else:
            self.weights[weight] = (kernel * scale[:, None, None, None]).astype(np.float32)
        pads = [shape[2] // 2] * 4
        group = shape[0] if shape[1] == 1 else 1
        return self.node("Conv", [source, weight], name, pads=pads, group=group)

    def clip(self, source: str) -> str:
        self.weights |= {"low": np.float32(0), "high": np.float32(6)}
        return self.node("Clip", [source, "low", "high"], f"{source}_clip")

    def save(self, path: Path, x: list[int], y: str, shape: list[int]) -> Path:
        model = model_of_nodes(self.nodes, {"x": x}, {y: shape}, self.weights, opset=13)
        onnx.save(model, path)
        return path


def residual_block(path: Path, *, expand: bool, rest: bool = True) -> Path:
    """An inverted residual block. Quantized all but its first layer, it crashes toolkit 2.5.0."""
    made = Quantized()

    def point(tensor: str) -> str:
        return made.qdq(tensor) if rest else tensor

    source = point(made.clip(made.conv(point("x"), "stem", (16, 3, 3, 3), quantized=rest)))
    wide = made.clip(made.conv(source, "expand", (48, 16, 1, 1), quantized=expand))
    wide = made.qdq(wide) if expand else wide
    deep = point(made.clip(made.conv(wide, "depthwise", (48, 1, 3, 3), quantized=rest)))
    slim = point(made.conv(deep, "project", (16, 48, 1, 1), quantized=rest))
    total = point(made.node("Add", [source, slim], "sum"))
    last = point(made.clip(made.conv(total, "last", (32, 16, 3, 3), quantized=rest)))
    return made.save(path, [1, 3, 32, 32], last, [1, 32, 32, 32])


def test_a_compiler_crash_on_a_partly_quantized_block(tmp_path: Path, old_output: Path) -> None:
    quantized = residual_block(tmp_path / "partial.onnx", expand=False)
    with pytest.raises(ToolkitCrashed) as caught:
        convert(ConversionRequest(quantized, old_output, "rk3588", level=3))
    assert "could not build partial.onnx for rk3588: it crashed (SIG" in str(caught.value)


def test_the_toolkit_quantizes_the_float_model_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it helps nothing to switch a rule off: here because it is another rule."""
    monkeypatch.setattr("rockpress.convert.fallbacks._CONVERSION_RULE", "convert_gather_to_slice")
    quantized = residual_block(tmp_path / "partial.onnx", expand=False)
    original = residual_block(tmp_path / "float.onnx", expand=False, rest=False)
    samples = [{"x": np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)}]
    made = convert(
        ConversionRequest(
            quantized, None, "rk3588", calibration=samples, simulate=samples, float_model=original
        )
    )
    assert made.quantization == "hybrid"
    assert made.warnings[0].code == "toolkit-crash"
    assert made.outputs is not None and made.outputs[0].shape == (1, 32, 32, 32)


def wide_pooling(path: Path, *, quantized: bool = True) -> Path:
    """A global pooling wider than 16 does not fit a register unless the compiler splits it."""
    made = Quantized()

    def point(tensor: str) -> str:
        return made.qdq(tensor) if quantized else tensor

    stem = made.conv(point("x"), "stem", (16, 3, 3, 3), quantized=quantized)
    pooled = point(made.node("GlobalAveragePool", [point(made.clip(stem))], "pool"))
    last = point(made.conv(pooled, "last", (8, 16, 1, 1), quantized=quantized))
    return made.save(path, [1, 3, 24, 96], last, [1, 8, 1, 1])


def test_a_wide_pooling_is_split(tmp_path: Path) -> None:
    built = convert(ConversionRequest(wide_pooling(tmp_path / "wide.onnx"), None, "rk3588"))
    assert built.quantization == "qdq"
    assert built.warnings == ()
    assert "GlobalAveragePool" not in {layer.op for layer in built.layers}


def test_register_errors_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At level 2 alone the compiler prints them; nothing else is left to try without samples."""
    monkeypatch.setattr("rockpress.convert.fallbacks.FUSING_LEVEL", 2)
    built = convert(ConversionRequest(wide_pooling(tmp_path / "wide.onnx"), None, "rk3588"))
    assert [warning.code for warning in built.warnings] == ["toolkit-regtask"]
    assert "REGTASK" in built.warnings[0].text
    assert "the board" in built.warnings[0].hint


def test_a_build_with_trouble_is_not_lost_when_the_other_ways_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network whose float form the toolkit cannot calibrate: an empty Slice."""
    monkeypatch.setattr("rockpress.convert.fallbacks.FUSING_LEVEL", 2)

    def built_unless_float(task: ToolkitBuild) -> Any:
        if task.quantization in ("hybrid", "normal"):
            raise ToolkitRaised("it could not calibrate", "")
        return build(task)

    monkeypatch.setattr("rockpress.convert.fallbacks.build", built_unless_float)
    samples = [{"x": np.random.default_rng(1).normal(size=(1, 3, 24, 96)).astype(np.float32)}]
    built = convert(
        ConversionRequest(
            wide_pooling(tmp_path / "wide.onnx"),
            None,
            "rk3588",
            calibration=samples,
            float_model=wide_pooling(tmp_path / "float.onnx", quantized=False),
        )
    )
    assert built.quantization == "qdq"
    assert [warning.code for warning in built.warnings] == ["toolkit-regtask"]


class Steps(Progress):
    """Keeps what is said of each build, once."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        if activity not in self.names:
            self.names.append(activity)


def test_builds_that_fail_at_one_level_are_tried_at_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same two levels the other way round: trouble at 2, none at 3."""
    monkeypatch.setattr("rockpress.convert.fallbacks.FUSING_LEVEL", 2)
    monkeypatch.setattr("rockpress.convert.fallbacks._EXACT_LEVEL", 3)
    steps = Steps()
    request = ConversionRequest(wide_pooling(tmp_path / "wide.onnx"), None, "rk3588")
    built = convert(request, steps)
    assert [name for name in steps.names if name.endswith("build")] == ["build", "build 2, build"]
    assert built.quantization == "qdq"
    assert [warning.code for warning in built.warnings] == ["toolkit-regtask"]
    assert "built at optimization level" in built.warnings[0].text
    assert "GlobalAveragePool" not in {layer.op for layer in built.layers}


def test_a_residual_add_is_joined_with_its_convolution(tmp_path: Path) -> None:
    whole = residual_block(tmp_path / "whole.onnx", expand=True)
    built = convert(ConversionRequest(whole, None, "rk3588"))
    assert "ConvAdd" in " ".join(layer.op for layer in built.layers)
    assert {layer.dtype for layer in built.layers if layer.total_cycles} == {"INT8"}
