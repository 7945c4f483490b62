"""check with other metrics than top-1: several inputs and outputs, labels of each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.metrics import r2_score
from typer.testing import CliRunner

from graphs import model_of
from rockpress.cli.main import app
from rockpress.core.errors import OptionError, SamplesError

NET = """(float[1,4] a, float[1,3] b) => (float[1,7] joined, float[1,2] sums, float[1,3] classes) {
    joined = Concat <axis=1> (a, b)
    sums = MatMul (joined, w)
    classes = MatMul (joined, v)
}"""
COUNT = 60


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path, dict[str, Any]]:
    """A model, one whose weights are rounded, and what the model gives on the samples of ``x``."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(7, 2)), "v": random.normal(size=(7, 3))}
    inputs = {"a": random.normal(size=(COUNT, 4)), "b": random.normal(size=(COUNT, 3))}
    joined = np.concatenate([inputs["a"], inputs["b"]], axis=1)
    paths = []
    for name, step in (("fine", 1e-6), ("coarse", 0.25)):
        rounded = {key: np.round(value / step) * step for key, value in weights.items()}
        paths.append(tmp_path / f"{name}.onnx")
        onnx.save(model_of(NET, rounded, prepared=False), str(paths[-1]))
    found = {"sums": joined @ weights["w"], "classes": joined @ weights["v"]}
    return paths[0], paths[1], {"inputs": inputs, **found}


def checked(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["check", *map(str, words), "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)["targets"][0]
    return report


def test_one_output_of_several_is_scored(
    models: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    fine, coarse, data = models
    truth = data["sums"] + np.random.default_rng(1).normal(size=(COUNT, 2)) * 0.3
    np.savez(tmp_path / "s.npz", **data["inputs"], labels=truth)
    report = checked(
        fine, coarse, "--eval", tmp_path / "s.npz", "--metric", "r2", "--metric-output", "sums"
    )
    rows = {row["stage"]: row["accuracy"] for row in report["models"]}
    assert rows["baseline"]["value"] == pytest.approx(r2_score(truth, data["sums"]), abs=1e-5)
    kept = report["retention"]
    assert kept["outputs"] == ["sums"] and kept["metric"] == "r2"
    assert kept["low"] < kept["value"] < kept["high"] < 1
    assert kept["difference"] == pytest.approx(
        rows["candidate"]["value"] - rows["baseline"]["value"]
    )
    worst = report["examples"]["worst"][0]
    assert worst["sample"].endswith(f"s.npz[{worst['index']}]")
    assert worst["candidate_score"] < worst["baseline_score"]
    assert worst["index"] in report["examples"]["lost"]


def test_a_table_of_names_labels_tensors(
    models: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    fine, coarse, data = models
    names = np.array(["ant", "bee", "cat"])[data["classes"].argmax(axis=1)]
    np.savez(tmp_path / "s.npz", **data["inputs"], labels=names)
    report = checked(fine, coarse, "--eval", tmp_path / "s.npz", "--metric-output", "classes")
    assert report["retention"]["metric"] == "top1"
    assert report["models"][0]["accuracy"]["value"] == 1
    lost = report["examples"]["lost"]
    assert len(lost) == round(COUNT * (1 - report["models"][1]["accuracy"]["value"])) > 0
    assert report["examples"]["worst"][0]["label"].split()[1] in ("ant", "bee", "cat")
    assert report["retention"]["mcnemar"] == pytest.approx(min(1, 2 * 0.5 ** len(lost)))
    classes = report["details"]["classes"]
    assert sum(one["samples"] * (1 - one["candidate"]) for one in classes) == pytest.approx(
        len(lost)
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--metric", "top1", "--metric-output", "other"], "other is no output of the model"),
        (["--metric", "mae", "--metric-option", "unit=mm"], "mae has no such option"),
        (["--metric", "map"], "map is for a model with an image input"),
        (["--metric", "cer"], "reading text needs the model's characters"),
        (["--metric", "cosine", "--metric-output", "joined"], "labels of 2 numbers for embedd"),
        (["--metric", "miou"], "the labels are numbers, but the metric is for masks"),
        (["--metric", "top2"], "the labels are numbers, but the metric is for classes"),
    ],
)
def test_labels_and_outputs_that_do_not_fit_are_told(
    words: list[str], told: str, models: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    fine, coarse, data = models
    np.savez(tmp_path / "s.npz", **data["inputs"], labels=data["sums"])
    command = ["check", str(fine), str(coarse), "--eval", str(tmp_path / "s.npz"), *words]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, OptionError | SamplesError), done.output
    assert told in done.exception.message and done.exception.hint
