"""The Python program for a board: to the same boxes, classes and texts as our own metrics."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from board_programs import (
    CLASSES,
    HEADS,
    LINES,
    POSES,
    SEGMENTS,
    head_program,
    head_values,
    imported,
    line_program,
    line_values,
    pose_program,
    pose_values,
    program_for,
    segment_program,
    segment_values,
    segments_of,
    tensor_program,
    written,
)
from rockpress.accuracy.metrics.metric import Listing
from rockpress.calibration_data.images.geometry import placement
from rockpress.calibration_data.preprocess import Preprocess
from rockpress.calibration_data.preprocessing import Color, Resize
from rockpress.core.results.predictions import PredictedClasses
from rockpress.core.types import Array

RESIZES: tuple[Resize, ...] = ("stretch", "letterbox", "corner", "fit", "crop")


@pytest.mark.parametrize("name", HEADS)
def test_boxes_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = head_program(name)
    values = head_values(name)
    expected = scoring.metric.predict(scoring.read(values))[0].above(program.reading.score)
    assert len(expected) > 20
    main = imported(written(program, tmp_path))
    corners, scores, classes = main.select(*main.decode(values))
    np.testing.assert_array_equal(classes, expected.classes)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(corners, expected.corners, atol=1e-3)


@pytest.mark.parametrize("name", POSES)
def test_poses_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = pose_program(name)
    values = pose_values(name)
    expected = scoring.metric.predict(scoring.read(values))[0].above(program.reading.score)
    assert len(expected) > 10
    main = imported(written(program, tmp_path))
    corners, scores, _, places = main.select(*main.decode(values))
    np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(corners, expected.corners, atol=1e-3)
    np.testing.assert_allclose(main.find_points(values)[places], expected.keypoints, atol=1e-3)


@pytest.mark.parametrize("logits", [True, False])
def test_classes_are_those_of_the_metric(logits: bool, tmp_path: Path) -> None:
    scoring, program = program_for([(1, 5, 1, 1)], "top1", classes=CLASSES)
    values = np.random.default_rng(1).normal(size=(1, 5, 1, 1)).astype(np.float32)
    if not logits:
        values = np.exp(values) / np.exp(values).sum()
    plain = scoring.metric.plain(scoring.metric.predict([values])[0], Listing(CLASSES))
    assert isinstance(plain, PredictedClasses)
    main = imported(written(program, tmp_path))
    best, scores = main.classify([values])
    assert [main.name(label) for label in best] == [each.name for each in plain.classes]
    np.testing.assert_allclose(scores, [each.score for each in plain.classes], rtol=1e-5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", LINES)
def test_lines_are_those_of_the_metric(name: str, seed: int, tmp_path: Path) -> None:
    scoring, program = line_program(name)
    values = line_values(name, seed)
    expected = scoring.metric.predict(values)[0]
    assert len(expected) >= 2
    main = imported(written(program, tmp_path))
    corners, scores, classes = main.select(*main.decode(values))
    np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(corners, expected.corners, atol=1e-3)
    assert (classes == 0).all() and main.LABELS == ["text"]


def test_a_hole_in_a_line_is_no_line(tmp_path: Path) -> None:
    """The metric takes its outline for one: the only thing in which the two differ."""
    scoring, program = line_program("map")
    plane = np.zeros(LINES["map"], np.float32)
    plane[..., 5:15, 5:40] = 0.95
    plane[..., 9, 20] = 0.1
    expected = scoring.metric.predict([plane])[0]
    assert len(expected) == 2
    main = imported(written(program, tmp_path))
    corners, scores, _ = main.select(*main.decode([plane]))
    np.testing.assert_allclose(scores, expected.scores[:1], atol=1e-5)
    np.testing.assert_allclose(corners, expected.corners[:1], atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_of_one_value_is_all_text_or_none(value: float, tmp_path: Path) -> None:
    scoring, program = line_program("map")
    values = [np.full(LINES["map"], value, np.float32)]
    main = imported(written(program, tmp_path))
    corners, scores, _ = main.select(*main.decode(values))
    expected = scoring.metric.predict(values)[0]
    assert corners.tolist() == expected.corners.tolist() and len(scores) == int(value)


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = segment_program(name)
    main, values = imported(written(program, tmp_path)), segment_values(name)
    expected = segments_of(scoring, name, values)
    assert len(np.unique(expected)) == (2 if name == "logit" else 5)
    np.testing.assert_array_equal(main.segment(values), expected)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(37, 53), (400, 123), (64, 96)])
def test_a_pixel_has_the_class_of_where_it_lies(
    size: tuple[int, int], resize: Resize, tmp_path: Path
) -> None:
    """As the labels' masks lie in the model's input, the other way round."""
    preprocess = Preprocess(size=(64, 96), resize=resize)
    _, program = program_for([(1, 5, 16, 24)], "miou", classes=CLASSES, preprocess=preprocess)
    main = imported(written(program, tmp_path))
    classes = np.random.default_rng(9).integers(0, 5, (16, 24)).astype(np.uint8)
    _, place = main.prepare(np.zeros((*size, 3), np.uint8))
    back = placement(resize, size, (64, 96)).of_size((16, 24)).back(size)
    expected, given = back.mask(classes), main.spread(classes, size, place)
    seen = expected != 255  # what is cut off has the nearest
    assert seen.mean() > (0.15 if resize == "crop" else 0.99)
    assert (given == expected)[seen].mean() > 0.999  # but for rounding


def test_a_map_is_written_in_the_size_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, program = program_for([(1, 5, 16, 24)], "miou", classes=CLASSES)
    main = imported(written(program, tmp_path))
    monkeypatch.chdir(tmp_path)
    scores = np.zeros((1, 5, 16, 24), np.float32)
    scores[0, 1] = 1
    scores[0, 3, :, :6] = 2
    picture = np.full((128, 192, 3), 200, np.uint8)
    lines = main.show("a/b.c.png", picture, main.prepare(picture)[1], [scores])
    assert lines[:2] == [f"{CLASSES[1]} 75.0 %", f"{CLASSES[3]} 25.0 %"]
    assert lines[2:] == ["a class a pixel: b.c-classes.png", "drawn: b.c-drawn.png"]
    classes = np.asarray(Image.open("b.c-classes.png"))
    np.testing.assert_array_equal(classes, np.where(np.arange(192) < 48, 3, 1) + np.zeros((128, 1)))
    drawn = np.asarray(Image.open("b.c-drawn.png"))
    np.testing.assert_array_equal(drawn[5, 100], 100 + main.COLOURS[1] // 2)


@pytest.mark.parametrize("blank", ["first", "last"])
@pytest.mark.parametrize("shape", [(1, 30, 9), (1, 9, 30), (1, 30, 8), (1, 30, 1, 9)])
def test_texts_are_those_of_the_metric(shape: tuple[int, ...], blank: str, tmp_path: Path) -> None:
    characters = ("a", "b", "é", "中", '"', "\\", "\u2028")
    charset = tmp_path / "keys.txt"
    charset.write_text("".join(f"{each}\n" for each in characters), encoding="utf-8")
    options = {"charset": str(charset), "blank": blank}
    scoring, program = program_for([shape], "cer", options, characters)
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    main = imported(written(program, tmp_path))
    assert main.read_text([values]) == scoring.metric.predict([values])[0] != ""


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("picture", [(37, 53), (400, 123), (128, 192), (64, 96)])
def test_the_input_is_within_one_of_ours(
    picture: tuple[int, int], resize: Resize, color: Color, tmp_path: Path
) -> None:
    preprocess = Preprocess(size=(64, 96), resize=resize, color=color)
    _, program = program_for([(1, 5)], "top1", classes=CLASSES, preprocess=preprocess)
    pixels = np.random.default_rng(3).integers(0, 256, (*picture, 3)).astype(np.uint8)
    main = imported(written(program, tmp_path))
    inputs, (scale, corner) = main.prepare(pixels)
    assert inputs.shape == (1, 64, 96, preprocess.channels) and inputs.dtype == np.uint8
    difference = np.abs(inputs[0].astype(int) - preprocess.pixels(pixels))
    assert difference.max() <= 1
    place = placement(resize, picture, (64, 96))
    np.testing.assert_allclose((scale, corner), (place.scale[::-1], place.corner[::-1]))


class StandInLite:
    """What the program uses of RKNNLite: outputs that depend on the picture, cores noted."""

    masks: ClassVar[list[int | None]] = []
    answers: ClassVar[dict[int, list[Array]]] = {}

    def load_rknn(self, path: str) -> int:
        return 0 if Path(path).is_file() else -1

    def init_runtime(self, core_mask: int | None = None) -> int:
        self.masks.append(core_mask)
        return 0

    def inference(self, inputs: list[Array]) -> list[Array]:
        assert inputs[0].shape == (1, 64, 96, 3) and inputs[0].dtype == np.uint8
        return self.answers[int(inputs[0][0, 0, 0, 0])]


def test_a_program_draws_what_it_finds_in_several_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scoring, program = head_program("yolov8-maps")
    main = imported(written(program, tmp_path))
    lite = ModuleType("rknnlite.api")
    lite.RKNNLite = StandInLite  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rknnlite.api", lite)
    monkeypatch.setattr(StandInLite, "masks", [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.rknn").write_bytes(b"RKNN")
    for seed in (3, 4, 5, 6):
        StandInLite.answers[seed] = head_values("yolov8-maps", seed)
        Image.new("RGB", (192, 128), (seed, 0, 0)).save(f"{seed}.a.png")
    monkeypatch.setattr(sys, "argv", ["main.py", *(f"{seed}.a.png" for seed in (3, 4, 5, 6))])
    main.main()
    assert StandInLite.masks == [1, 2, 4]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] != " "] == [f"{seed}.a.png" for seed in (3, 4, 5, 6)]
    best = scoring.metric.predict(scoring.read(StandInLite.answers[3]))[0]
    box = ", ".join(f"{2 * value:.1f}" for value in np.clip(best.corners[0], 0, [96, 64] * 2))
    assert lines[1] == f"  {CLASSES[best.classes[0]]} {best.scores[0]:.2f} at {box}"
    assert "  drawn: 3.a-boxes.png" in lines
    assert (np.asarray(Image.open("3.a-boxes.png")) == [255, 0, 0]).all(axis=2).any()


def test_a_model_that_does_not_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = imported(written(head_program("yolov8-maps")[1], tmp_path))
    lite = ModuleType("rknnlite.api")
    lite.RKNNLite = StandInLite  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rknnlite.api", lite)
    monkeypatch.setattr(sys, "argv", ["main.py", "picture.png"])
    with pytest.raises(SystemExit, match=r"net\.rknn does not start"):
        main.main()


@pytest.mark.parametrize("missing", ["numpy", "PIL", "rknnlite"])
def test_a_package_that_is_missing_ends_in_what_to_install(missing: str, tmp_path: Path) -> None:
    folder = written(head_program("yolov8-maps")[1], tmp_path)
    (folder / f"{missing}.py").write_text(f"raise ImportError('no {missing}')\n")
    words = [sys.executable, "main.py", "picture.png"]
    run = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    said = f"no {missing}: pip install rknn-toolkit-lite2 pillow (README.md says how)\n"
    assert (run.returncode, run.stdout, run.stderr) == (1, "", said)


def test_outputs_that_nobody_reads_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tensor_program([(1, 3, 4, 5), (1, 7)], [(1, 2, 3), (1, 4)])
    main = imported(written(program, tmp_path))
    monkeypatch.chdir(tmp_path)
    outputs = [np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.ones((1, 4), np.float32)]
    assert main.show(outputs)[0] == "output 0 (1, 2, 3): 0 to 5"
    np.testing.assert_array_equal(np.load("output0.npy"), outputs[0])
    array = np.arange(60, dtype=np.float32)
    np.testing.assert_array_equal(
        main.prepare(array, (1, 3, 4, 5)), array.reshape(1, 3, 4, 5).transpose(0, 2, 3, 1)
    )


def sources(tmp_path: Path) -> list[str]:
    """The Python program of every kind."""
    programs = [head_program(name)[1] for name in HEADS]
    programs += [pose_program(name)[1] for name in POSES]
    programs += [segment_program(name)[1] for name in SEGMENTS]
    programs += [line_program(name)[1] for name in LINES]
    programs += [program_for([(1, 5)], "top1", classes=CLASSES)[1]]
    programs += [program_for([(1, 5, 8, 8), (1, 3)], "top1")[1]]
    programs += [tensor_program([(1, 3, 4, 5), (1, 7)], [(1, 2, 3)])]
    return [(written(program, tmp_path) / "main.py").read_text() for program in programs]


def test_programs_are_python_3_7_of_short_lines(tmp_path: Path) -> None:
    for source in sources(tmp_path):
        ast.parse(source, feature_version=(3, 7))
        assert max(map(len, source.splitlines())) <= 100
        assert len(source.splitlines()) < 250


def test_hostile_names_stay_texts(tmp_path: Path) -> None:
    names = ('"""\nimport os', "*/ int x;", "$name", "{0}", "a\r\nb")
    _, program = program_for([(1, 5)], "top1", classes=names)
    object.__setattr__(program, "stem", 'x"""\n*/ $y')
    main = imported(written(program, tmp_path))
    assert main.LABELS[1:4] == list(names[1:4]) and len(main.LABELS) == 5
    assert main.MODEL.endswith('x"""\n*/ $y.rknn')
