"""``rockpress init`` for models of many families, with samples beside them: what it writes runs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from PIL import Image

from commands import Run
from exports import ultralytics, with_metadata
from graphs import model_of, small_cnn
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe_file import ModelJob, read_jobs
from trained_exports import (
    face,
    fsmn,
    imagenet,
    line_direction,
    page_direction,
    recogniser,
    silero,
    text_detector,
)

Place = Callable[[Path], None]


def noise(folder: Path, count: int = 4, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (48, 96, 3), np.uint8)).save(path)
    return paths


def photos(place: Path) -> None:
    noise(place / "photos", seed=1)


def classes(place: Path) -> None:
    photos(place)
    for index in range(2):
        noise(place / "labelled" / str(index), seed=2 + index)


def boxes(place: Path) -> None:
    """Labelled images alone, under a name that says nothing."""
    for path in noise(place / "pages" / "images"):
        label = place / "pages" / "labels" / f"{path.stem}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("0 0.5 0.5 0.5 0.5\n")


def lines(place: Path) -> None:
    noise(place / "calib")
    with (place / "calib" / ".." / "lines.csv").open("w"):
        pass  # a table that is no table of samples
    rows = [(path.name, "0a1b") for path in noise(place / "val", seed=3)]
    with (place / "val" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])


def stream(frame: str, width: int, axes: int) -> Place:
    def write(place: Path) -> None:
        shape = (12, *[1] * (axes - 2), width)
        frames = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        np.savez(place / "eval.npz", **{frame: frames}, labels=np.arange(12.0) % 2)
        np.save(place / "calib.npy", frames)
        np.savez(place / "other.npz", unrelated=frames)

    return write


def yolo() -> ModelProto:
    says = {"task": "detect", "stride": "16", "names": "{0: 'a'}"}
    return with_metadata(ultralytics(), **says)


TWO_INPUTS = (
    "(float[1,4] a, float[1,2,3] b) => (y) { f = Flatten (b) m = MatMul (f, w) y = Add (a, m) }"
)


def arrays(place: Path) -> None:
    random = np.random.default_rng(0)
    values = {"a": random.random((6, 4)), "b": random.random((6, 2, 3))}
    np.savez(
        place / "samples.npz", **{name: each.astype(np.float32) for name, each in values.items()}
    )


# model, what lies beside it, and the samples that are found
MODELS: dict[str, tuple[ModelProto, Place, str, str | None]] = {
    "yolo": (yolo(), boxes, "pages", "pages"),
    "recogniser": (recogniser(), lines, "calib", "val"),
    "text-detector": (text_detector(), boxes, "pages", "pages"),
    "line-direction": (line_direction(), classes, "photos", "labelled"),
    "page-direction": (page_direction(), classes, "photos", "labelled"),
    "imagenet": (imagenet("1,3,h,w"), classes, "photos", "labelled"),
    "face": (face(), classes, "photos", "labelled"),
    "silero": (silero(), stream("input", 576, 2), "calib.npy", "eval.npz"),
    "fsmn": (fsmn(), stream("speech", 400, 3), "calib.npy", "eval.npz"),
    "no-family": (small_cnn(), photos, "photos", None),
    "two-inputs": (model_of(TWO_INPUTS, {"w": (6, 4)}), arrays, "samples.npz", None),
}


@pytest.fixture
def started(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, ModelJob, str]:
    """A model of ``MODELS`` after ``init``: its name, its recipe, and what was said."""
    name: str = request.param
    model, place, *_ = MODELS[name]
    monkeypatch.chdir(tmp_path)
    onnx.save(model, f"{name}.onnx")
    place(tmp_path)
    code, out, err = rockpress("init", f"{name}.onnx")
    assert (code, out) == (0, ""), err
    (job,) = read_jobs(tmp_path / "rockpress.toml")
    return name, job, err


@pytest.mark.parametrize("started", MODELS, indirect=True)
def test_what_init_writes_can_be_run_as_it_stands(
    started: tuple[str, ModelJob, str], rockpress: Run
) -> None:
    name, job, err = started
    *_, calib, evaluation = MODELS[name]
    samples = job.recipe.samples
    assert samples.calib is not None and samples.calib.name == calib
    assert (samples.eval and samples.eval.name) == evaluation
    assert "still open" not in err
    assert err.splitlines()[-1] == "rockpress: next: rockpress run rockpress.toml"
    code, out, err = rockpress("run", "rockpress.toml", "--dry-run")
    assert code == 0, err
    assert "convert" in out and "family" not in err


@pytest.mark.parametrize(
    "started", ["yolo", "recogniser", "imagenet", "silero", "fsmn", "two-inputs"], indirect=True
)
def test_what_init_writes_quantizes(started: tuple[str, ModelJob, str], tmp_path: Path) -> None:
    name, job, _ = started
    recipe = job.recipe.with_options(method="min-max", mixed="off")
    done = quantize_file(recipe, tmp_path / "q.onnx")
    assert (tmp_path / "q.onnx").is_file() and done is not None
    if name == "yolo":  # ended before its decoding, as the recipe says
        assert len(recipe.shape.outputs) > 1


def test_the_cut_of_a_detector_is_in_the_recipe(tmp_path: Path, rockpress: Run) -> None:
    onnx.save(yolo(), tmp_path / "yolo.onnx")
    assert rockpress("init", tmp_path / "yolo.onnx", "-o", tmp_path).code == 0
    (job,) = read_jobs(tmp_path / "rockpress.toml")
    assert job.recipe.shape.outputs and job.recipe.metric.metric_option["head"] == "yolov8"
    before = job.recipe.shape.outputs
    line = ["--outputs", "boxes,scores", "-o", tmp_path, "--force"]
    assert rockpress("init", tmp_path / "yolo.onnx", *line).code == 0
    (job,) = read_jobs(tmp_path / "rockpress.toml")
    assert job.recipe.shape.outputs == ("boxes", "scores") != before


def test_options_of_run_are_written_as_they_were_given(tmp_path: Path, rockpress: Run) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx")
    noise(tmp_path / "some where")
    (tmp_path / "keys.txt").write_text("a\nb\n")
    options: dict[str, Any] = {
        **{"calib": tmp_path / "some where", "calib-count": 3, "metric": "cer"},
        **{"metric-option": f"charset={tmp_path / 'keys.txt'}", "mean": "1,2,3", "std": 4},
        **{"prune": "macs=-9%", "scheme": "w8a16", "min-retention": 0.9, "keep": "st*"},
        **{"max-regression": "cycles=2%", "sparsity": "off", "seed": 7, "target": "RK3576"},
    }
    line = [word for name, value in options.items() for word in (f"--{name}", value)]
    code, _, err = rockpress("init", tmp_path / "m.onnx", *line, "-o", tmp_path / "ci")
    assert code == 0, err
    text = (tmp_path / "ci" / "rockpress.toml").read_text()
    assert 'calib = "../some where"\n' in text and 'metric-option.charset = "../keys.txt"' in text
    (job,) = read_jobs(tmp_path / "ci" / "rockpress.toml")
    recipe = job.recipe
    assert recipe.samples.calib_count == 3 and recipe.preprocessing.mean == (1.0, 2.0, 3.0)
    assert (recipe.prune.prune, recipe.prune.sparsity) == ("macs=-9%", None)
    assert recipe.prune.keep == ("st*",) and recipe.gates.max_regression == {"cycles": 0.02}
    assert (recipe.run.seed, recipe.run.target) == (7, ("rk3576",))
    assert recipe.quantize.scheme == "w8a16" and recipe.gates.min_retention == 0.9


def test_several_models_are_tables_of_one_recipe(tmp_path: Path, rockpress: Run) -> None:
    for name, model in (("det.v1", text_detector()), ("rec", recogniser()), ("yolo", yolo())):
        onnx.save(model, tmp_path / f"{name}.onnx")
    boxes(tmp_path)
    lines(tmp_path)
    models = [tmp_path / f"{name}.onnx" for name in ("det.v1", "rec", "yolo")]
    code, _, err = rockpress("init", *models, "-o", tmp_path, "--mixed", "off")
    assert code == 0, err
    jobs = read_jobs(tmp_path / "rockpress.toml")
    assert [job.name for job in jobs] == ["det-v1", "rec", "yolo"]
    evaluation = [job.recipe.samples.eval for job in jobs]
    assert [path and path.name for path in evaluation] == ["pages", "val", "pages"]
    assert {job.recipe.quantize.mixed for job in jobs} == {"off"}
    done = rockpress("run", tmp_path / "rockpress.toml", "--dry-run", "-o", tmp_path / "build")
    assert done.code == 0, done.err
    onnx.save(small_cnn(), tmp_path / "other.onnx")
    (tmp_path / "again").mkdir()
    onnx.save(small_cnn(), tmp_path / "again" / "other.onnx")
    models = [tmp_path / "other.onnx", tmp_path / "again" / "other.onnx"]
    assert rockpress("init", *models, "-o", tmp_path, "--force").code == 0
    jobs = read_jobs(tmp_path / "rockpress.toml")
    assert [job.name for job in jobs] == ["other", "other-2"]


def test_models_of_other_inputs_have_samples_of_their_own(
    tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "(float[1,8] tokens) => (float[1,8] y) { y = MatMul (tokens, w) }"
    onnx.save(small_cnn(), "cls.onnx")
    onnx.save(model_of(text, {"w": (8, 8)}, prepared=False), "vad.onnx")
    lines = rockpress("init", "cls.onnx", "vad.onnx").err.splitlines()
    assert lines[-1] == (
        "rockpress: next: rockpress run rockpress.toml, with that written into [models.cls] and "
        "[models.vad]"
    )
    shared, cls, vad = Path("rockpress.toml").read_text().split("[models.")
    assert "calib =" not in shared and "eval =" not in shared
    assert '# calib = "images"' in cls and '# calib = "samples.npz"' in vad
    np.save("x.npy", np.ones((4, 8), np.float32))
    written = f"{shared}[models.{cls}[models.{vad}".replace("# calib =", "calib =")
    Path("rockpress.toml").write_text(written.replace('"samples.npz"', '"x.npy"'))
    code, _, err = rockpress("run", "rockpress.toml", "--dry-run")
    assert code == 1 and err.startswith("error: cls: "), err


def test_what_is_missing_is_part_of_the_next_command(
    tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "(float[n,3,h,w] x) => (float[n,4,h,w] y) { y = Conv (x, w0) }"
    onnx.save(model_of(text, {"w0": (4, 3, 1, 1)}, prepared=False), "m.onnx")
    err = rockpress("init", "m.onnx").err
    assert err.splitlines()[-1] == (
        "rockpress: next: rockpress run rockpress.toml --calib FOLDER --size HEIGHTxWIDTH"
    )
    assert "still open: quantization needs calibration samples" in err
    photos(tmp_path)
    line = ["run", "rockpress.toml", "--calib", "photos", "--size", "16x16", "--dry-run"]
    assert rockpress(*line).code == 0
    code, _, err = rockpress("init", "m.onnx", "--calib", "nope", "--force")
    assert (code, err.splitlines()[-2:]) == (
        1,
        ["error: nope: the samples do not exist", "hint: check the path"],
    )


def test_an_input_that_is_no_image_is_asked_for_by_its_name(
    tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "(float[n,t] tokens) => (float[n,t] y) { y = Relu (tokens) }"
    onnx.save(model_of(text, prepared=False), "m.onnx")
    err = rockpress("init", "m.onnx", "--calib", "x.npy", "--force").err
    assert "x.npy: the samples do not exist" in err
    np.save("x.npy", np.zeros((4, 8), np.float32))
    lines = rockpress("init", "m.onnx").err.splitlines()
    assert lines[-2:] == [
        "hint: give one, for example --input tokens=1x100",
        "rockpress: next: rockpress run rockpress.toml --input NAME=SHAPE",
    ]


def test_of_several_folders_without_a_usual_name_none_is_taken(
    tmp_path: Path, rockpress: Run
) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx")
    noise(tmp_path / "one")
    noise(tmp_path / "two")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "m.py").touch()
    rockpress("init", tmp_path / "m.onnx", "-o", tmp_path)
    assert read_jobs(tmp_path / "rockpress.toml")[0].recipe.samples.calib is None
    noise(tmp_path / "Images")
    rockpress("init", tmp_path / "m.onnx", "-o", tmp_path, "--force")
    calib = read_jobs(tmp_path / "rockpress.toml")[0].recipe.samples.calib
    assert calib is not None and calib.name == "Images"
