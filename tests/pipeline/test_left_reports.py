"""Runs for one chip after the other, or of several models, into one folder: no report is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from fake_toolkit import FakeToolkit
from rockpress.convert.toolkit.environment import toolkit_version

pytestmark = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
OTHER = "report-small_cnn-rk3588.json"


@pytest.fixture
def build(small_cnn: Path, image_folder: Path, fast_toolkit: FakeToolkit, rockpress: Run) -> Any:
    def run(*targets: str, model: Path = small_cnn, code: int = 0) -> str:
        words = ["--scheme", "float16", "--calib", image_folder, "-o", small_cnn.with_name("out")]
        chips = [word for target in targets for word in ("--target", target)]
        ended = rockpress("run", model, *words, *chips)
        assert ended.code == code, ended.err
        return ended.err

    return run


def reports(folder: Path) -> dict[str, list[str]]:
    """The chips that each report in a folder is about."""
    documents = {file.name: json.loads(file.read_text()) for file in folder.glob("report*.json")}
    return {
        name: [target["target"] for target in document["targets"]]
        for name, document in documents.items()
    }


def test_chips_one_after_the_other_keep_their_reports(small_cnn: Path, build: Any) -> None:
    out = small_cnn.with_name("out")
    assert "report-" not in build("rk3588")
    first = json.loads((out / "report.json").read_text())
    assert f"{OTHER} has what report.json said of an earlier result" in build("rk3576")
    assert reports(out) == {"report.json": ["rk3576"], OTHER: ["rk3588"]}
    assert json.loads((out / OTHER).read_text()) == first
    build("rk3576")
    assert reports(out) == {"report.json": ["rk3576"], OTHER: ["rk3588"]}
    build("rk3588", "rk3576")
    assert reports(out) == {"report.json": ["rk3588", "rk3576"]}
    build("rk3576")
    assert reports(out) == {"report.json": ["rk3576"], OTHER: ["rk3588"]}


def test_models_one_after_the_other_keep_their_reports(small_cnn: Path, build: Any) -> None:
    out, other = small_cnn.with_name("out"), small_cnn.with_name("other.onnx")
    other.write_bytes(small_cnn.read_bytes())
    build("rk3588")
    build("rk3588", model=other)
    assert json.loads((out / OTHER).read_text())["recipe"]["model"] == str(small_cnn)
    assert json.loads((out / "report.json").read_text())["recipe"]["model"] == str(other)
    assert (out / "rk3588" / "other.rknn").is_file()  # and no cached run of the one it is a copy of


@pytest.mark.parametrize("damage", ["gone", "no report", "another place"])
def test_what_is_about_nothing_there_is_not_kept(damage: str, small_cnn: Path, build: Any) -> None:
    out = small_cnn.with_name("out")
    build("rk3588")
    report = out / "report.json"
    if damage == "gone":
        (out / "rk3588" / "small_cnn.rknn").unlink()
    elif damage == "no report":
        report.write_text("{}")
    else:
        report.write_text(report.read_text().replace('"rk3588"', '"../out/rk3588"'))
    build("rk3576")
    assert reports(out) == {"report.json": ["rk3576"]}
