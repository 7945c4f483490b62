"""Inputs that are changed at random, by a seed: whatever is in them, the promise holds.

``make fuzz TIME=3600`` goes on for as long with new seeds. What breaks the promise is made as small
as it can be by Hypothesis, and its files are kept in build/fuzz/.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import graphs
from mutations import (
    Mutate,
    mutated_bytes,
    mutated_json,
    mutated_model,
    mutated_npy,
    mutated_npz,
    mutated_toml,
)
from promises import Trial, tried
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, TEST, sample_path
from rockpress.core.results.model_figures import ModelRow, Ratios, RetentionFigure
from rockpress.core.results.report import Report, TargetReport, ToolVersion
from rockpress.report.documents.document import to_json
from samples import noise_images

ONE, TWO, THREE = (str(sample_path(name)) for name in (MODEL, CALIBRATION, TEST))
CHECK = ["check", ONE, ONE, "--eval-count", "20", "--allow", "preprocess"]
QUANTIZE = ["quantize", "-o", "../out/q.onnx", "--method", "min-max", "--calib-count", "4"]
SECONDS = float(os.environ.get("ROCKPRESS_FUZZ_SECONDS", "0"))
KEPT = Path(__file__).parents[2] / "build" / "fuzz"


@cache
def samples() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.npz"
        images = np.random.default_rng(0).integers(0, 255, (6, 28, 28), np.uint8)
        np.savez(path, images=images, labels=np.arange(6))
        return path.read_bytes()


@cache
def array() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.npy"
        np.save(path, np.random.default_rng(0).integers(0, 255, (6, 28, 28), np.uint8))
        return path.read_bytes()


@cache
def image() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return next(iter(sorted(noise_images(Path(folder) / "i", 1).iterdir()))).read_bytes()


def cnn() -> bytes:
    return bytes(graphs.small_cnn().SerializeToString())


def recipe() -> bytes:
    return f"""model = "{ONE}"
calib = "{TWO}"
eval = "{THREE}"
target = ["rk3588"]
size = [28, 28]
min-retention = 0.9
scheme = "w8a8"
""".encode()


def report() -> bytes:
    models = (ModelRow("baseline", "m.onnx", 1, 1, 1),)
    figures = RetentionFigure("top1", 0.5, 0.4, 0.6, 20, 0.9, 25.0), Ratios(0.5, 0.5, 0.5, 0.5)
    target = TargetReport(None, models, *figures, None)
    tools = ToolVersion("rockpress", "0.1"), ToolVersion("rknn-toolkit2", None)
    return to_json(Report(*tools, {"model": "m.onnx"}, (target,))).encode()


def coco() -> bytes:
    box = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    images = [{"id": 1, "file_name": "i.png", "height": 36, "width": 40}]
    categories = [{"id": 3, "name": "a"}]
    return json.dumps({"images": images, "annotations": [box], "categories": categories}).encode()


def rknn() -> bytes:
    description = json.dumps({"target_platform": ["rk3588"], "version": "2.5.0", "norm_tensor": []})
    parts = (b"RKNN" + bytes(4), (6).to_bytes(8, "little"), (64).to_bytes(8, "little"), bytes(104))
    return b"".join(parts) + len(description).to_bytes(8, "little") + description.encode()


# kind -> (the name of its file, what is in it, how it is changed, the commands that read it)
KINDS: dict[str, tuple[str, Callable[[], bytes], Mutate, Sequence[Sequence[str]]]] = {
    "model": (
        "m.onnx",
        cnn,
        mutated_model,
        [
            ["inspect", "--json", "../m.onnx"],
            [*QUANTIZE, "../m.onnx", "--calib", "../images"],
            [
                "prune",
                "../m.onnx",
                "-o",
                "../out/p.onnx",
                "--budget",
                "macs=-30%",
                "--recover",
                "none",
            ],
            ["check", "../m.onnx", "../m.onnx", "--eval", "../images", "--timeout", "5"],
        ],
    ),
    "npz": ("s.npz", samples, mutated_npz, [[*CHECK, "--eval", "../s.npz"]]),
    "npy": ("s.npy", array, mutated_npy, [[*QUANTIZE, ONE, "--calib", "../s.npy"]]),
    "image": ("images/i.png", image, mutated_bytes, [[*QUANTIZE, ONE, "--calib", "../images"]]),
    "coco": (
        "c.json",
        coco,
        mutated_json,
        [[*CHECK, "--eval", "../c.json", "--metric", "map"]],
    ),
    "labels": (
        "l.csv",
        lambda: b"path,label\nimages/0.png,1\nimages/1.png,0\n",
        mutated_bytes,
        [[*CHECK, "--eval", "../l.csv"]],
    ),
    "recipe": ("r.toml", recipe, mutated_toml, [["run", "../r.toml", "--dry-run"]]),
    "report": (
        "r.json",
        report,
        mutated_json,
        [[*CHECK, "--eval", THREE, "--baseline", "../r.json"]],
    ),
    "rknn": ("m.rknn", rknn, mutated_bytes, [["inspect", "../m.rknn"]]),
}
AROUND = [
    {},
    {},
    {},
    {"OMP_NUM_THREADS": "99999"},
    {"OMP_NUM_THREADS": "x"},
    {"LANG": "C", "PYTHONUTF8": "0"},
    {"COLUMNS": "-5"},
    {"HOME": "/nowhere"},
]
STOPS = st.sampled_from([2, 15]).flatmap(
    lambda number: st.tuples(st.just(number), st.sampled_from([0.0, 0.1, 0.4, 0.8, 1.5]))
)
RARELY = st.integers(0, 9).flatmap(lambda n: STOPS if n == 9 else st.none())


def hold(
    kind: str,
    command: int,
    changes: list[int],
    around: dict[str, str],
    stop: tuple[int, float] | None,
) -> int | None:
    """Return the exit code. Raises AssertionError, and keeps the input, for a broken promise."""
    name, make, mutate, commands = KINDS[kind]
    content = make()
    for change in changes:
        content = mutate(content, random.Random(change))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        noise_images(folder / "images", 2)
        shutil.copy(next((folder / "images").iterdir()), folder / "i.png")
        (folder / name).write_bytes(content)
        words = commands[command % len(commands)]
        code, broken = tried(Trial(words, around, (), stop), folder)
        if broken:
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{kind}-{Path(name).name}").write_bytes(content)
            (KEPT / f"{kind}.txt").write_text("\n".join([" ".join(words), str(around), *broken]))
    assert not broken, f"{' '.join(words)} {around} {stop}: {broken}"
    return code


def fuzzed(number: int, examples: int, kind: str) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=False,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        command=st.integers(0, 3),
        changes=st.lists(st.integers(0, 2**32), max_size=4),
        around=st.sampled_from(AROUND),
        stop=RARELY,
    )
    def trial(
        command: int,
        changes: list[int],
        around: dict[str, str],
        stop: tuple[int, float] | None,
    ) -> None:
        hold(kind, command, changes, around, stop)

    trial()


@pytest.mark.parametrize("kind", KINDS)
def test_the_inputs_are_taken_as_they_are(kind: str) -> None:
    # the boxes of a COCO file are read, and are nothing for a classifier
    assert hold(kind, 0, [], {}, None) == (2 if kind == "coco" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_fuzzed_inputs_keep_the_promise(kind: str) -> None:
    fuzzed(1, 12 if kind == "model" else 4, kind)


@pytest.mark.skipif(not SECONDS, reason="make fuzz TIME=600 asks for it")
def test_fuzzed_inputs_for_long() -> None:
    end, number = time.monotonic() + SECONDS, 1
    while time.monotonic() < end:
        for kind in KINDS:
            if time.monotonic() < end:
                fuzzed(number, 25, kind)
        number += 1
    print(f"{number - 1} rounds")
