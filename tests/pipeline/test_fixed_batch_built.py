"""A model of a fixed batch is pruned, quantized, built and checked, sample by sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import model_of
from rockpress.core.session import Session

pytestmark = pytest.mark.toolkit

COUNT, BATCH = 22, 4
TEXT = f"""(float[{BATCH},3,8,8] x) => (float[{BATCH},6] y) {{
    h = Conv <pads = [1,1,1,1]> (x, w) r = Relu (h) c = Conv <pads = [1,1,1,1]> (r, v) s = Relu (c)
    p = GlobalAveragePool (s) f = Flatten (p) y = Gemm (f, g) }}"""


def test_every_command_counts_samples(tmp_path: Path, rockpress: Run) -> None:
    weights = {"w": (32, 3, 3, 3), "v": (32, 32, 3, 3), "g": (32, 6)}
    onnx.save(model_of(TEXT, weights), tmp_path / "m.onnx")
    values = np.random.default_rng(0).normal(size=(COUNT, 3, 8, 8)).astype(np.float32)
    session = Session(onnx.load(tmp_path / "m.onnx"))
    filled = np.concatenate([values, values[:2]])
    rows = [session.run({"x": filled[i : i + BATCH]})[0] for i in range(0, len(filled), BATCH)]
    # right but for every fourth
    labels = np.concatenate(rows)[:COUNT].argmax(axis=1)
    labels[::4] = (labels[::4] + 1) % 6
    np.savez(tmp_path / "t.npz", x=values, labels=labels)
    right = 1 - len(labels[::4]) / COUNT

    samples = ("--calib", tmp_path / "t.npz", "--eval", tmp_path / "t.npz")
    chosen = ("--method", "min-max", "--mixed", "off", "--allow", "preprocess")
    done = rockpress(
        "run",
        tmp_path / "m.onnx",
        "-o",
        tmp_path / "out",
        *samples,
        *chosen,
        "--prune",
        "macs=-20%",
    )
    assert done.code in (0, 4), done.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    text = json.dumps(report)
    assert f'"value": {right}' in text and f'"samples": {COUNT}' in text
    built = tmp_path / "out" / "rk3588" / "m.rknn"
    checked = rockpress("check", tmp_path / "m.onnx", built, *samples, "--allow", "preprocess")
    assert checked.code in (0, 4), checked.err
    assert f"on {COUNT} samples" in checked.out
