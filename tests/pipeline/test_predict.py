"""rockpress predict: what a model says of samples, in their pixels, alone and beside another."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import ModelProto
from PIL import Image

from commands import Run
from graphs import model_of
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.convert.toolkit.environment import toolkit_version
from samples import save_images

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
# the bundled model's way of seeing a picture
FED = ["--mean", "73", "--std", "90"]


def said(rockpress: Run, *words: object, code: int = 0) -> dict[str, Any]:
    done = rockpress("predict", *words, "--json", "--quiet")
    assert done.code == code, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def constant_rows(rows: ArrayLike) -> ModelProto:
    """Return a detector that says the same of every image of 64x64, in rows of end to end."""
    values = np.array(rows, np.float32)[np.newaxis]
    count = values.shape[1]
    text = f"""(float[1,3,64,64] x) => (float[1,{count},6] y) {{
        m = ReduceMean <axes = [1,2,3], keepdims = 0> (x) z = Mul (m, none) y = Add (z, rows) }}"""
    return model_of(text, {"none": np.array([0.0]), "rows": values})


def constant_scores(*scores: float) -> ModelProto:
    text = f"""(float[1,3,8,8] x) => (float[1,{len(scores)}] y) {{
        m = ReduceMean <axes = [1,2,3], keepdims = 0> (x) z = Mul (m, none) y = Add (z, rows) }}"""
    return model_of(text, {"none": np.array([0.0]), "rows": np.array([scores])})


def saved(model: ModelProto, path: Path, **metadata: str) -> Path:
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


def picture(path: Path, size: tuple[int, int] = (100, 200), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


DETECTED = ["--metric", "map50", "--metric-option", "head=end2end", "--resize", "letterbox"]


def test_the_bundled_classifier_says_its_best_classes(rockpress: Run) -> None:
    document = said(rockpress, sample_path(MODEL), sample_path(TEST), *FED, "--top", "3")
    rows = document["samples"]
    with np.load(sample_path(TEST)) as arrays:
        labels = arrays["labels"]
    best = [row["prediction"]["classes"][0] for row in rows]
    assert len(rows) == len(labels)
    assert np.mean([each["index"] for each in best] == labels) > 0.9
    for row in rows[:20]:
        scores = [each["score"] for each in row["prediction"]["classes"]]
        assert scores == sorted(scores, reverse=True) and len(scores) == 3 and sum(scores) <= 1
    assert (document["metric"], document["against"], rows[0]["drawing"]) == ("top1", None, None)
    few = said(rockpress, sample_path(MODEL), sample_path(TEST), *FED, "--threshold", "0.6")
    assert all(len(row["prediction"]["classes"]) <= 1 for row in few["samples"])


def test_so_many_samples_of_each_folder_are_asked_about(rockpress: Run, tmp_path: Path) -> None:
    model = saved(constant_scores(0.1, 0.9), tmp_path / "m.onnx")
    paths = [picture(tmp_path / folder / f"{n}.png") for folder in "ab" for n in range(3)]
    words = [model, tmp_path / "a", tmp_path / "b", "--count", "2"]
    names = [row["sample"] for row in said(rockpress, *words)["samples"]]
    assert names == [str(path) for path in paths if path.stem != "2"]


def test_classes_have_the_models_names_or_the_folders(rockpress: Run, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        picture(tmp_path / "set" / name / "a.png")
    model = saved(constant_scores(0.2, 0.8), tmp_path / "m.onnx")
    done = rockpress("predict", model, tmp_path / "set", "--quiet")
    assert done.code == 0, done.err
    assert f"{tmp_path}/set/ant/a.png: bee  0.800\n  ant  0.200\n" in done.out
    named = saved(constant_scores(0.2, 0.8), tmp_path / "n.onnx", names="{0: 'x', 1: 'y'}")
    document = said(rockpress, named, tmp_path / "set" / "ant" / "a.png")
    assert document["samples"][0]["prediction"]["classes"][0]["name"] == "y"


def test_boxes_are_in_the_pixels_of_the_picture_and_drawn_there(
    rockpress: Run, tmp_path: Path
) -> None:
    # a picture of 100x200 lies in rows 16 to 48 of the input, which is 3.125 times smaller
    model = saved(
        constant_rows([[16, 16, 32, 48, 0.9, 1], [0, 0, 8, 20, 0.2, 0]]), tmp_path / "m.onnx"
    )
    path, out = picture(tmp_path / "in" / "p.jpg"), tmp_path / "out"
    document = said(rockpress, model, path, *DETECTED, "-o", out)
    (row,) = document["samples"]
    (found,) = row["prediction"]["objects"]
    assert (found["name"], found["box"]) == ("class 1", [50, 0, 100, 100])
    assert row["drawing"] == str(out / "p.jpg") and document["threshold"] == 0.3
    with Image.open(out / "p.jpg") as drawing:
        assert drawing.size == (400, 200)
        pixels = np.asarray(drawing).astype(int)
    orange = np.abs(pixels - (230, 159, 0)).sum(axis=2) < 60
    # the picture is enlarged twice
    assert orange[20:180, 97:104].any(axis=1).mean() > 0.9
    assert orange[20:180, 197:204].any(axis=1).mean() > 0.9
    lower = said(rockpress, model, path, *DETECTED, "--threshold", "0.1")
    assert [
        each["score"] for each in lower["samples"][0]["prediction"]["objects"]
    ] == pytest.approx([0.9, 0.2])


def test_a_turned_photograph_is_drawn_upright(rockpress: Run, tmp_path: Path) -> None:
    model = saved(constant_rows([[16, 16, 48, 32, 0.9, 1]]), tmp_path / "m.onnx")
    path = picture(tmp_path / "in" / "p.jpg")
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    document = said(rockpress, model, path, *DETECTED, "-o", tmp_path / "out")
    (found,) = document["samples"][0]["prediction"]["objects"]
    # 200 high and 100 wide now: it lies in columns 16 to 48
    assert found["box"] == [0, 50, 100, 100]
    with Image.open(tmp_path / "out" / "p.jpg") as drawing:
        assert drawing.size == (200, 400) and not drawing.getexif().get(0x0112)


def test_two_models_side_by_side_say_what_differs(rockpress: Run, tmp_path: Path) -> None:
    rows = [[0, 16, 16, 32, 0.9, 1], [32, 16, 48, 32, 0.5, 0]]
    first = saved(constant_rows(rows), tmp_path / "a.onnx", names="['cat', 'dog']")
    changed = [[2, 16, 18, 32, 0.8, 1], [32, 16, 48, 32, 0.2, 0]]
    second = saved(constant_rows(changed), tmp_path / "b.onnx")
    paths = [picture(tmp_path / "in" / f"{n}.png", seed=n) for n in (1, 2)]
    words = [first, *paths, "--against", second, *DETECTED]
    done = rockpress("predict", *words, "-o", tmp_path / "out", "--quiet")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        *(
            line
            for path in paths
            for line in (
                f"{path}: 1 lost, 1 moved",
                "  moved  dog  0.90 -> 0.80  6,0 to 56,50, IoU 0.78",
                "  lost   cat  0.50 -> 0.20  100,0 to 150,50",
            )
        ),
        "2 of 2 samples differ (95 % interval 34.2 to 100.0%): F1 of the objects 0.667 on average",
    ]
    with Image.open(tmp_path / "out" / "1.png") as drawing:
        assert drawing.width == 2 * 400 + 6 and 210 < drawing.height < 240
    document = said(rockpress, *words)
    assert (document["differing"], document["likeness"]) == (2, pytest.approx(2 / 3))
    row = document["samples"][0]
    assert [each["name"] for each in row["against"]["objects"]] == ["dog"]
    assert [pair["fate"] for pair in row["difference"]["objects"]] == ["moved", "lost"]
    itself = rockpress("predict", first, paths[0], "--against", first, *DETECTED, "--quiet")
    assert itself.out.splitlines() == [
        f"{paths[0]}: the same 2",
        "no difference in 1 sample: F1 of the objects 1.000",
    ]


def test_outputs_that_nothing_reads_are_shown_as_they_are(rockpress: Run, tmp_path: Path) -> None:
    text = "(float[1,3,8,8] x) => (float[1,3,8,8] y) { y = Relu (x) }"
    model = saved(model_of(text, {}), tmp_path / "m.onnx")
    path = picture(tmp_path / "p.png", (8, 8))
    done = rockpress("predict", model, path)
    assert done.code == 0
    assert f"{path}: y  3x8x8  0 to 2" in done.out and ", mean 12" in done.out
    assert "warning: " in done.err and "[output-undecoded]" in done.err
    assert "hint: name a --metric that reads them, or the model's --family" in done.err
    # who asks for a metric gets that, or an error
    asked = rockpress("predict", model, path, "--metric", "top1")
    assert asked.code == 1 and "is not (N, classes)" in asked.err
    other = saved(constant_scores(0.1, 0.9), tmp_path / "o.onnx")
    apart = rockpress("predict", model, path, "--against", other)
    assert apart.code == 1
    assert (
        "the two models cannot be compared: one model gives outputs, the other classes" in apart.err
    )


def test_frames_of_a_stream_are_one_curve(rockpress: Run, tmp_path: Path) -> None:
    text = """(float[1,4] x, float[1,2] state) => (float[1,1] p, float[1,2] stateN) {
        m = ReduceMean <axes = [1], keepdims = 1> (x) p = Sigmoid (m) stateN = Identity (state) }"""
    model = saved(model_of(text, {}), tmp_path / "vad.onnx")
    loud = np.repeat([[-3.0], [3.0], [3.0], [-3.0], [3.0]], 4, axis=1).astype(np.float32)
    np.save(tmp_path / "frames.npy", loud)
    words = [model, tmp_path / "frames.npy", "--metric", "vad", "--metric-output", "p"]
    done = rockpress("predict", *words, "-o", tmp_path / "out", "--quiet")
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path}/frames.npy: speech in 3 of 5 frames: frames 1 to 2, 4 to 4\n"
    with Image.open(tmp_path / "out" / "frames.png") as drawing:
        assert drawing.width == 960
    document = said(rockpress, *words)
    assert document["samples"][0]["prediction"]["segments"] == [[1, 3], [4, 5]]
    few = rockpress("predict", *words, "--count", "3", "--quiet")
    assert few.out == f"{tmp_path}/frames.npy: speech in 2 of 3 frames: frames 1 to 2\n"


def test_a_map_is_laid_over_the_picture(rockpress: Run, tmp_path: Path) -> None:
    text = """(float[1,3,16,16] x) => (float[1,2,4,4] y) {
        s = AveragePool <kernel_shape = [4,4], strides = [4,4]> (x)
        y = Conv (s, w) }"""
    weights = {"w": np.array([[1.0, 0, 0], [0, 1, 0]])[:, :, None, None]}
    model = saved(model_of(text, weights), tmp_path / "m.onnx")
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :16, 0], pixels[:, 16:, 1] = 200, 200
    path = save_images(tmp_path / "in", [pixels])
    document = said(rockpress, model, path, "--metric", "miou", "-o", tmp_path / "out")
    (row,) = document["samples"]
    assert [(each["index"], each["share"]) for each in row["prediction"]["shares"]] == [
        (1, 0.75),
        (0, 0.25),
    ]
    assert "pixels" not in row["prediction"]
    with Image.open(row["drawing"]) as drawing:
        values = np.asarray(drawing)
    assert (values[80, 20] == values[80, 75]).all() and not (values[80, 20] == values[80, 90]).all()


def test_drawings_get_names_of_their_own_and_replace_no_picture(
    rockpress: Run, tmp_path: Path
) -> None:
    model = saved(constant_scores(0.2, 0.8), tmp_path / "m.onnx")
    paths = [picture(tmp_path / part / "a.png") for part in ("one", "two")]
    out = tmp_path / "out"
    document = said(rockpress, model, *paths, "-o", out)
    assert [row["drawing"] for row in document["samples"]] == [
        str(out / "a.png"),
        str(out / "a-2.png"),
    ]
    np.savez(tmp_path / "s.npz", images=np.zeros((2, 8, 8, 3), np.uint8))
    document = said(rockpress, model, tmp_path / "s.npz", "-o", tmp_path)
    assert [Path(row["drawing"]).name for row in document["samples"]] == ["s-0.png", "s-1.png"]
    (tmp_path / "list.txt").write_text(f"{paths[0]}\n")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    before = paths[0].read_bytes()
    for source in (paths[0], tmp_path / "one", tmp_path / "list.txt", tmp_path / "link"):
        done = rockpress("predict", model, source, "-o", tmp_path / "one")
        assert done.code == 2 and "pictures are read from there" in done.err, source
    assert paths[0].read_bytes() == before


@pytest.mark.parametrize(
    ("samples", "code", "words"),
    [
        (["none.png"], 1, "there is no such image file"),
        (["broken.png"], 1, "the image cannot be decoded"),
        (["none"], 1, "the samples do not exist"),
        (["m.onnx"], 1, "this is not a kind of samples that is known"),
        (["p.png", "t.npy"], 2, "are images and tensors"),
        (["wrong.npy"], 1, "the sample has the shape (3, 9, 9), but input 'x' takes (1, 3, 8, 8)"),
        ([], 2, "IMAGE... is missing"),
    ],
)
def test_samples_that_cannot_be_asked_about(
    samples: list[str], code: int, words: str, rockpress: Run, tmp_path: Path
) -> None:
    model = saved(constant_scores(0.2, 0.8), tmp_path / "m.onnx")
    picture(tmp_path / "p.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    np.save(tmp_path / "t.npy", np.zeros((2, 3, 8, 8), np.float32))
    np.save(tmp_path / "wrong.npy", np.zeros((2, 3, 9, 9), np.float32))
    done = rockpress("predict", model, *(tmp_path / name for name in samples), "-o", tmp_path / "o")
    assert done.code == code and done.out == ""
    assert words in " ".join(done.err.replace("│", " ").split())
    assert list((tmp_path / "o").glob("*")) == []


@needs_toolkit
@pytest.mark.toolkit
def test_a_rknn_is_simulated_as_it_was_built(rockpress: Run, tmp_path: Path) -> None:
    with np.load(sample_path(TEST)) as arrays:
        np.savez(tmp_path / "few.npz", images=arrays["images"][:6])
    for name, fed in (("inside", FED), ("outside", [])):
        words = ["convert", sample_path(MODEL), "-o", tmp_path / f"{name}.rknn", *fed, "--quiet"]
        assert rockpress(*words).code == 0
    # mean and std come from the manifest, or are applied before it
    for name, fed in (("inside", []), ("outside", FED)):
        rknn = tmp_path / f"{name}.rknn"
        document = said(rockpress, rknn, tmp_path / "few.npz", *fed)
        rows, (memory,) = document["samples"], document["memory"].values()
        manifest = read_manifest(manifest_path(rknn))
        assert manifest.memory is not None and memory == asdict(manifest.memory)
        expected = said(rockpress, sample_path(MODEL), tmp_path / "few.npz", *FED)["samples"]
        for row, other in zip(rows, expected, strict=True):
            best, same = (each["prediction"]["classes"][0] for each in (row, other))
            assert best["index"] == same["index"]
            assert best["score"] == pytest.approx(same["score"], abs=0.01)
    # the original beside it is fed as it is
    line = [sample_path(MODEL), tmp_path / "few.npz", "--against", tmp_path / "inside.rknn"]
    *_, summary, last = rockpress("predict", *line).out.splitlines()
    assert summary.startswith("no difference in 6 samples (95 % interval 0.0 to 39.0%): same class")
    assert last.startswith(f"{tmp_path / 'inside.rknn'}: memory ") and " for weights" in last
    done = rockpress("predict", tmp_path / "inside.rknn", tmp_path / "few.npz", "--std", "1")
    assert done.code == 2 and "was built for std 90" in done.err
