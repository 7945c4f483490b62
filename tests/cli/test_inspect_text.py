"""What ``inspect`` prints of an ONNX model, and how a terminal of 80 columns shows it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import onnx
import pytest

from commands import COMMAND, Run
from detectors import detector
from graphs import model_of
from terminals import read_all

STREAM = """(float[1,n] speech, float[2,1,8] state, int64 rate)
    => (float[1,n] y, float[2,1,8] next) {
    next = Relu (state) f = Cast <to = 1> (rate) y = Mul (speech, f) }"""
WIDE = 8 * "/backbone" + "/conv"


@pytest.fixture
def saved_detector(tmp_path: Path) -> Path:
    onnx.save(detector(prepared=False), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_types_and_scalars_are_shown(rockpress: Run, tmp_path: Path) -> None:
    onnx.save(model_of(STREAM, prepared=False), tmp_path / "m.onnx")
    out = rockpress("inspect", tmp_path / "m.onnx")[1]
    assert "input  speech 1x? float32\n" in out
    assert "input  rate scalar int64\n" in out
    assert "output next 2x1x8 float32\n" in out
    assert "operators: Relu (1), Cast (1), Mul (1)\n" in out
    facts = json.loads(rockpress("inspect", tmp_path / "m.onnx", "--json")[1])
    assert facts["input_types"] == {"speech": "float32", "state": "float32", "rate": "int64"}
    assert facts["output_types"] == {"y": "float32", "next": "float32"}
    assert facts["inputs"]["rate"] == []


def test_an_open_input_is_shown_as_the_file_has_it(rockpress: Run, tmp_path: Path) -> None:
    text = "(float[n,3,h,w] x, float[1,4] t) => (y, z) { y = Conv (x, k) z = Relu (t) }"
    onnx.save(model_of(text, {"k": (4, 3, 1, 1)}, prepared=False), tmp_path / "m.onnx")
    line = ["inspect", tmp_path / "m.onnx"]
    assert "input  x ?x3x?x? float32\n" in rockpress(*line)[1]
    line += ["--input", "x=1x3x32x48"]
    out = rockpress(*line)[1]
    assert "input  x ?x3x?x? float32, taken as 1x3x32x48\n" in out
    assert "input  t 1x4 float32\n" in out
    facts = json.loads(rockpress(*line, "--json")[1])
    assert facts["inputs"] == {"x": [1, 3, 32, 48], "t": [1, 4]}
    assert facts["open_inputs"] == {"x": [None, 3, None, None]}


def test_tensors_that_a_hint_sends_to(rockpress: Run, saved_detector: Path, tmp_path: Path) -> None:
    code, _, err = rockpress("inspect", saved_detector, "--outputs", "nosuch")
    assert code == 2
    assert err.splitlines()[-1] == "hint: rockpress inspect lists its tensors"
    out = rockpress("inspect", saved_detector)[1]
    assert "  1x16x8x8  last layer before y  b0\n" in out
    assert "  1x5x80    joined into y        scores\n" in out
    listed = rockpress("inspect", saved_detector, "--tensors")[1].splitlines()[1:]
    names = [line.split()[-1] for line in listed]
    facts = json.loads(rockpress("inspect", saved_detector, "--json")[1])
    assert sorted([*names, "y"]) == sorted(facts["tensors"])
    assert {cut["tensor"] for cut in facts["cuts"]} == set(names[: len(facts["cuts"])])
    chosen = ",".join(cut["tensor"] for cut in facts["cuts"])
    ended = rockpress("inspect", saved_detector, "--outputs", chosen, "--json")
    assert list(json.loads(ended[1])["outputs"]) == chosen.split(",")


def test_top_without_a_target(rockpress: Run, saved_detector: Path) -> None:
    out = rockpress("inspect", saved_detector, "--top", 2)[1]
    table = out[out.index("layers, the dearest first") :].splitlines()
    assert table[-2] == "5 cheaper layers: --top 7"
    facts = json.loads(rockpress("inspect", saved_detector, "--json")[1])
    dearest = sorted((layer["name"] for layer in facts["layers"]), key=str)
    assert len(table) == 3 + 2 + 2 and {row.split()[0] for row in table[3:5]} <= set(dearest)


def test_a_terminal_breaks_no_word(tmp_path: Path) -> None:
    text = "(float[1,3,8,8] x) => (y) { [NAME] c = Conv (x, w) y = Relu (c) }"
    model = model_of(text.replace("NAME", WIDE.replace("/", "_")), {"w": (4, 3, 1, 1)})
    onnx.save(model, tmp_path / "m.onnx")
    ours, theirs = pty.openpty()
    line = [*COMMAND, "inspect", "m.onnx"]
    place = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    with subprocess.Popen(line, stdout=theirs, cwd=tmp_path, env=place) as command:
        os.close(theirs)
        shown = read_all(ours).decode().splitlines()
        assert command.wait(60) == 0
    assert max(map(len, shown)) <= 80
    (row,) = [line for line in shown if "256" in line or ("768" in line and "…" in line)]
    assert row.startswith("_backbone") and "_backbone_conv " in row
