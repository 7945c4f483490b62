"""The builds that pruning is measured by: the original and the pruned model in int8."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from commands import Run
from fake_toolkit import FakeToolkit
from graphs import random_feeds
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import ToolkitJob
from samples import save_feeds


def is_qdq(job: ToolkitJob) -> bool:
    return "DequantizeLinear" in {node.op_type for node in onnx.load(job.model).graph.node}


@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_they_go_the_ways_of_the_final_one(
    monkeypatch: pytest.MonkeyPatch, small_cnn: Path, tmp_path: Path, rockpress: Run
) -> None:
    """A compiler that crashes on every QDQ model ends no run, pruned or not."""
    toolkit = FakeToolkit(refuses=is_qdq)
    monkeypatch.setattr("rockpress.convert.toolkit_build.run_job", toolkit)
    monkeypatch.setattr("rockpress.convert.toolkit_build.needs_lowering", lambda python: True)
    calib = save_feeds(tmp_path / "calib.npz", random_feeds(onnx.load(small_cnn), 6))
    line = ["run", small_cnn, "--calib", calib, "--mixed", "off", "--method", "min-max", "--json"]
    for number, more in enumerate(([], ["--prune", "macs=-10%"])):
        ended = rockpress(*line, *more, "-o", tmp_path / f"out{number}")
        assert ended.code == 0, ended.err
        (target,) = json.loads(ended.out)["targets"]
        assert "toolkit-crash" in {warning["code"] for warning in target["warnings"]}
    assert "reference-int8" in {row["stage"] for row in target["models"]}
