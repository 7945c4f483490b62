"""Third-party models through the real command, on input rendered here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from commands import in_a_process

pytestmark = pytest.mark.toolkit

MODEL = "ch_ppocr_mobile_v2.0_cls_infer.onnx"


def model_path() -> Path:
    """The classifier inside rapidocr-onnxruntime, of which nothing is imported."""
    found = [file for file in files("rapidocr-onnxruntime") or [] if file.name == MODEL]
    return Path(str(found[0].locate()))


@pytest.fixture(scope="module")
def lines(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    script = root / "examples" / "render_text_lines.py"
    options = ["--out", str(folder), "--calib-count", "64", "--eval-count", "200"]
    subprocess.run([sys.executable, str(script), *options], check=True)
    return folder


def test_text_direction_keeps_its_accuracy_in_int8(lines: Path, tmp_path: Path) -> None:
    command = [
        *["run", str(model_path())],
        *["--calib", str(lines / "calib"), "--eval", str(lines / "eval")],
        *["--size", "48x192", "--color", "bgr", "--resize", "fit"],
        *["--mean", "127.5", "--std", "127.5"],
        *["--min-retention", "0.99", "-o", str(tmp_path / "build"), "--json", "--quiet"],
    ]
    done = in_a_process(*command, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    target = report["targets"][0]
    stages = {row["stage"]: row for row in target["models"]}
    assert stages["baseline"]["accuracy"]["value"] > 0.95
    assert stages["rknn"]["accuracy"]["runner"] == "rknn-simulator"
    assert target["retention"]["value"] >= 0.99
    assert report["verdict"] == "pass"
    # int8 wherever it counts: the layers with cycles
    busy = [layer for layer in target["layers"] if layer["total_cycles"]]
    assert {layer["dtype"] for layer in busy} == {"INT8"}
    assert {layer["runs_on"] for layer in busy} == {"NPU"}
    assert (tmp_path / "build" / "rk3588" / f"{Path(MODEL).stem}.rknn").is_file()
