"""Every command and snippet of the how-to pages is run, on small models made here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from ruamel.yaml import YAML

from commands import Run
from exports import with_metadata
from graphs import model_of, model_of_nodes
from rockpress.pipeline.ci_files import ci_text
from rockpress.pipeline.install_source import InstallSource
from samples import save_images
from trained_exports import silero

pytestmark = pytest.mark.toolkit

Array = NDArray[Any]
DOCS = Path(__file__).parents[2] / "docs"
# a command alone, or a block with its language
STEP = re.compile(r"^ {4,}rockpress ([^\n]*)$|^```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CUTS = [
    f"/model.22/cv{part}.{scale}/cv{part}.{scale}.2/Conv_output_0"
    for scale in range(3)
    for part in (2, 3)
]
WHEEL = "wheels/rockpress-*.whl"
DECODED = ["/model.22/Mul_2_output_0", "/model.22/Sigmoid_output_0"]


def steps_of(page: str) -> Iterator[tuple[str, str]]:
    """What kind, and its text, in order."""
    for command, language, text in STEP.findall((DOCS / page).read_text()):
        yield ("command", command) if command else (language, text)


def job_of(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the job of a file for CI, and its commands."""
    place = YAML(typ="safe").load(text)
    (job,) = (each for each in place.get("jobs", place).values() if isinstance(each, dict))
    return job, job.get("script") or [step["run"] for step in job["steps"] if "run" in step]


class Reader:
    """Does what a page says, in a folder of its own.

    For ``chip`` instead of RK3588, where that is given: one without float16 has no reference to
    build in it, which takes half of the time.
    """

    def __init__(self, folder: Path, tools: Path, rockpress: Run) -> None:
        self._folder = folder
        self._rockpress = rockpress
        self._said = ""
        self.codes: tuple[int, ...] = (0,)
        self._environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "CI_PROJECT_DIR": str(folder),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        }

    def follow(self, page: str, chip: str = "rk3588") -> list[str]:
        """Do all of it; returns what kinds of steps there were."""
        steps = list(steps_of(page))
        for kind, text in steps:
            getattr(self, kind)(text.replace("rk3588", chip))
        return [kind for kind, _ in steps]

    def command(self, text: str) -> None:
        code, out, err = self._rockpress(*text.split())
        self._said += out + err
        assert code in self.codes, f"{text}\n{self._said}"

    def text(self, text: str) -> None:
        missing = [line for line in text.splitlines() if line not in self._said]
        assert not missing, self._said

    def sh(self, text: str) -> None:
        words = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(
            words, cwd=self._folder, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    def yaml(self, text: str) -> None:
        job, lines = job_of(text)
        self._environment.update(job.get("env") or job["variables"])
        self._environment["ROCKPRESS_CACHE_DIR"] = os.environ["ROCKPRESS_CACHE_DIR"]
        install, *rest = lines
        written = ci_text("gitlab" if "script" in job else "github", InstallSource(WHEEL))
        assert install == job_of(written)[1][0]
        self.sh("\n".join(rest))

    def make(self, text: str) -> None:
        (self._folder / "Makefile").write_text(text)

    def toml(self, text: str) -> None:
        (self._folder / "rockpress.toml").write_text(text)

    def python(self, text: str) -> None:
        exec(compile(text, "page", "exec"), {"__name__": "page"})


@pytest.fixture
def reader(
    tmp_path: Path,
    tools: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
    pages_cache: str,
) -> Reader:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", pages_cache)
    return Reader(tmp_path, tools, rockpress)


@pytest.mark.usefixtures("image_folder", "labelled_folder")
@pytest.mark.parametrize(
    ("page", "chip", "steps", "files"),
    [
        (
            "ci.md",
            "rv1106",
            [*["command"] * 3, "yaml", "yaml", "sh"],
            ["build/junit.xml"],
        ),
        ("make.md", "rv1106", ["command", "make", "sh", "make", "sh"], ["firmware.bin"]),
        ("many-machines.md", "rv1103", ["command"] * 3, ["shared/all.html"]),
        ("several-chips.md", "rv1103", ["command"], ["several/rv1106/model.rknn"]),
        ("calibration-set.md", "rv1106", ["command"] * 4, ["int8.onnx"]),
    ],
)
def test_a_page_about_a_classifier(
    page: str,
    chip: str,
    steps: list[str],
    files: list[str],
    small_cnn: Path,
    tmp_path: Path,
    reader: Reader,
) -> None:
    small_cnn.rename(tmp_path / "model.onnx")
    assert reader.follow(page, chip) == steps
    assert [name for name in files if not (tmp_path / name).is_file()] == []


# A detector with outputs named as Ultralytics' exporter does, and one whose boxes are its cells


def yolo() -> onnx.ModelProto:
    """(1, 3, 64, 64) -> (1, 4 + 2, 84): a red or a green square in a cell of 16 x 16 pixels."""
    weights: dict[str, Array] = {}
    nodes: list[onnx.NodeProto] = []

    def node(kind: str, output: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(name: str, value: Any, dtype: Any = np.float32) -> str:
        weights[name] = np.asarray(value, dtype)
        return name

    def conv(output: str, source: str, kernel: Array, bias: Any, stride: int = 1) -> str:
        more = constant(f"{output}.w", kernel), constant(f"{output}.b", bias)
        return node("Conv", output, source, *more, strides=[stride, stride])

    # the mean of each colour in cells of 8 pixels, then of 16 and of 32
    mean = np.eye(3)[:, :, None, None] * np.full((2, 2), 1 / 4)
    halved = conv("c2", "images", mean, np.zeros(3), 2)
    cells = [node("AveragePool", "c8", halved, kernel_shape=[4, 4], strides=[4, 4])]
    for stride in (16, 32):
        pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
        cells.append(node("AveragePool", f"c{stride}", cells[-1], **pool))
    random = np.random.default_rng(0)
    # half a cell to each side: as likely one as none
    bins = np.tile([4.0, 4.0, *[-4.0] * 14], 4)
    for place, source in enumerate(cells):
        noise = random.normal(0, 0.05, (64, 3, 1, 1))
        conv(CUTS[2 * place], source, noise, bins)
        colours = np.array([[30.0, -30, 0], [-30, 30, 0]]) * (place == 1)
        kernel = colours[:, :, None, None] + random.normal(0, 0.05, (2, 3, 1, 1))
        conv(CUTS[2 * place + 1], source, kernel, [-8.0, -8.0])

    sizes = [8, 4, 2]
    rows = constant("rows", [1, 2, -1], np.int64)
    bins4 = constant("bins", [1, 4, 16, -1], np.int64)
    sides = [node("Reshape", f"r{i}", CUTS[2 * i], bins4) for i in range(3)]
    shares = [node("Reshape", f"s{i}", CUTS[2 * i + 1], rows) for i in range(3)]
    joined = node("Concat", "sides", *sides, axis=3)
    turned = node("Transpose", "turned", joined, perm=[0, 2, 1, 3])
    likely = node("Softmax", "likely", turned, axis=1)
    steps = conv("steps", likely, np.arange(16.0).reshape(1, 16, 1, 1), [0.0])
    four = node("Reshape", "four", steps, constant("four.shape", [1, 4, -1], np.int64))
    nodes.append(helper.make_node("Split", [four], ["before", "after"], name="split", axis=1))
    grid = [np.mgrid[:n, :n][::-1].reshape(2, -1) + 0.5 for n in sizes]
    middle = constant("anchors", np.concatenate(grid, axis=1)[None])
    low, high = node("Sub", "low", middle, "before"), node("Add", "high", middle, "after")
    centre = node("Mul", "centre", node("Add", "sum", low, high), constant("half", [0.5]))
    box = node("Concat", "box", centre, node("Sub", "extent", high, low), axis=1)
    strides = np.repeat([8.0, 16.0, 32.0], [n * n for n in sizes])
    node("Mul", DECODED[0], box, constant("strides", strides))
    node("Sigmoid", DECODED[1], node("Concat", "classes", *shares, axis=2))
    node("Concat", "output0", *DECODED, axis=1)
    return model_of_nodes(nodes, {"images": [1, 3, 64, 64]}, {"output0": [1, 6, 84]}, weights)


def squares(count: int, folder: Path, labels: Path | None, seed: int) -> None:
    """Grey images of 64 x 64 with two coloured cells each, and their boxes as YOLO text."""
    random = np.random.default_rng(seed)
    images = random.integers(90, 120, (count, 64, 64, 3), dtype=np.uint8)
    for index, image in enumerate(images):
        lines = []
        for place, kind in zip(random.choice(16, 2, replace=False), (0, 1), strict=True):
            row, column = divmod(int(place), 4)
            colour = [[255, 0, 0], [0, 255, 0]][kind]
            image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = colour
            lines.append(f"{kind} {column / 4 + 0.125} {row / 4 + 0.125} 0.25 0.25\n")
        if labels is not None:
            labels.mkdir(parents=True, exist_ok=True)
            (labels / f"{index}.txt").write_text("".join(lines))
    save_images(folder, images)


def test_the_page_about_yolo(tmp_path: Path, reader: Reader) -> None:
    onnx.save(with_metadata(yolo(), task="detect", stride="32"), str(tmp_path / "yolo.onnx"))
    squares(12, tmp_path / "frames", None, 0)
    squares(8, tmp_path / "val" / "images", tmp_path / "val" / "labels", 1)
    steps = ["command", "command", "command", "text", "text"]
    assert reader.follow("yolo.md", "rv1106") == steps
    (target,) = json.loads((tmp_path / "build" / "report.json").read_text())["targets"]
    assert target["models"][0]["accuracy"]["value"] == 1
    assert target["retention"]["value"] > 0.9


# A detector of bright lines and a recogniser that tells columns by their brightness


def text_detector() -> onnx.ModelProto:
    model = model_of(
        """(float[n,3,h,w] images) => (float[n,1,h,w] map) {
            [conv] bright = Conv <strides = [2,2]> (images, weight, bias)
            [grown] grown = ConvTranspose <strides = [2,2]> (bright, copied)
            [map] map = Sigmoid (grown) }""",
        {
            **{"weight": np.full((1, 3, 2, 2), 1.0), "bias": np.zeros(1)},
            "copied": np.ones((1, 1, 2, 2)),
        },
        prepared=False,
    )
    model.graph.name = "Model from PaddlePaddle."
    return model


def text_recogniser() -> onnx.ModelProto:
    """Each 48 x 8 pixels are nothing when dark, then a, b, c or a space."""
    slope = np.array([-40.0, -20, 0, 20, 40])
    kernel = np.full((1, 3, 1, 1), 1 / 3)
    model = model_of(
        """(float[n,3,48,w] images) => (float[n,t,5] read) {
            [conv] likely = Conv (images, weight, bias)
            [p0] p0 = AveragePool <kernel_shape = [4,4], strides = [4,4]> (likely)
            [p1] p1 = AveragePool <kernel_shape = [4,2], strides = [4,2]> (p0)
            [steps] steps = AveragePool <kernel_shape = [3,1], strides = [3,1]> (p1)
            [rows] rows = Squeeze (steps, axis)
            [turned] turned = Transpose <perm = [0,2,1]> (rows)
            [read] read = Softmax <axis = 2> (turned) }""",
        {
            "weight": slope[:, None, None, None] * kernel,
            "bias": -(slope**2) / 80,
            "axis": [2],
        },
        prepared=False,
    )
    helper.set_model_props(model, {"character": "a\nb\nc"})
    return model


def write_text_sets(folder: Path) -> None:
    for role, seed in (("calib", 1), ("eval", 0)):
        random = np.random.default_rng(seed)
        write_pages(folder / "pages" / role, random, labelled=role == "eval")
        write_lines(folder / "lines" / role, random, labelled=role == "eval")


def write_pages(folder: Path, random: np.random.Generator, *, labelled: bool) -> None:
    pages = random.integers(0, 60, (6, 320, 320, 3), dtype=np.uint8)
    for index, page in enumerate(pages):
        top = 32 * int(random.integers(1, 8))
        page[top : top + 32, 64:256] = 250  # and 20 pixels around it, by unclip
        if labelled:
            (folder / "labels").mkdir(parents=True, exist_ok=True)
            box = f"0 0.5 {(top + 16) / 320} {232 / 320} {72 / 320}\n"
            (folder / "labels" / f"{index}.txt").write_text(box)
    save_images(folder / "images" if labelled else folder, pages)


def write_lines(folder: Path, random: np.random.Generator, *, labelled: bool) -> None:
    texts = ["".join(random.choice(list("abc"), 6)) for _ in range(12)]
    shades = {"a": 64, "b": 128, "c": 191}
    lines = [np.zeros((48, 320, 3), np.uint8) for _ in texts]
    for text, line in zip(texts, lines, strict=True):
        for place, letter in enumerate(text):
            line[:, 16 * place : 16 * place + 8] = shades[letter]
    save_images(folder, np.stack(lines))
    if labelled:
        rows = [f"{index}.png,{text}\n" for index, text in enumerate(texts)]
        (folder / "labels.csv").write_text("path,label\n" + "".join(rows))


def test_the_page_about_text(tmp_path: Path, reader: Reader) -> None:
    onnx.save(text_detector(), str(tmp_path / "det.onnx"))
    onnx.save(text_recogniser(), str(tmp_path / "rec.onnx"))
    write_text_sets(tmp_path)
    assert reader.follow("ocr.md", "rv1106") == ["toml", "command", "command", "command"]
    for name in ("det", "rec"):
        report = json.loads((tmp_path / "build" / name / "report.json").read_text())
        (target,) = report["targets"]
        assert target["models"][0]["accuracy"]["value"] == 1
        assert "calibration-overlap" not in {each["code"] for each in target["warnings"]}


def test_the_page_about_audio(tmp_path: Path, reader: Reader) -> None:
    """Of silero-vad's form: noise that is loud where somebody speaks."""
    onnx.save(silero(), str(tmp_path / "vad.onnx"))
    loud = np.arange(80) // 5 % 2
    sound = np.random.default_rng(0).normal(0, 1, (80, 512)) * (20 + 8000 * loud[:, None])
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    second = 16000 / 512
    lines = [f"{n / second}\t{(n + 5) / second}\tsomebody speaks\n" for n in range(5, 80, 10)]
    (tmp_path / "speech.txt").write_text("".join(lines))
    steps = ["python", *["command"] * 5]
    reader.codes = (0, 4)  # of weights that are random, int8 may leave noise
    assert reader.follow("audio.md") == steps
    (target,) = json.loads((tmp_path / "float16" / "report.json").read_text())["targets"]
    assert target["retention"]["metric"] == "vad"
