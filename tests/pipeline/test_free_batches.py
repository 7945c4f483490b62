"""A free batch that is fixed to 1, which is told where nobody asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import model_of
from rockpress.core.diagnostics import option, render
from rockpress.core.progress import Progress
from rockpress.pipeline.filled_recipe import fill_recipe
from rockpress.pipeline.recipes.recipe import make_recipe

ONE = "(float[N,3,8,8] x) => (float[N,4,8,8] y) { y = Conv <pads = [1, 1, 1, 1]> (x, w) }"
OPEN = ONE.replace("8,8]", "H,W]")
TWO = (
    "(float[N,4] x, float[N,4] t, float[1,4] u) => (float[N,4] y) { a = Add (x, t) y = Add (a, u) }"
)
FIXED = ONE.replace("N", "2")


class Notes(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def written(path: Path, text: str) -> Path:
    onnx.save(model_of(text, {"w": (4, 3, 3, 3)}, prepared=False), path)
    return path


def notes(model: Path, verb: str = "quantize", **options: Any) -> list[str]:
    progress = Notes()
    fill_recipe(make_recipe(model, **options), verb, progress)
    return progress.texts


@pytest.mark.parametrize("verb", ["run", "prune", "quantize", "convert", "tune"])
@pytest.mark.parametrize("options", [{}, {"family": "off"}, {"size": (8, 8)}])
def test_a_free_batch_is_told(verb: str, options: dict[str, Any], tmp_path: Path) -> None:
    (note,) = notes(written(tmp_path / "m.onnx", ONE), verb, **options)
    assert note.startswith("the batch of input 'x' is free in the model, and is fixed to 1; ")
    assert note.endswith(render(f"{option('input', {'x': [4, 3, 8, 8]})} sets another"))


def test_several_inputs_are_told_at_once(tmp_path: Path) -> None:
    (note,) = notes(written(tmp_path / "m.onnx", TWO))
    assert "the batch of inputs 'x', 't' is free" in note
    (note,) = notes(tmp_path / "m.onnx", input={"x": (1, 4)})
    assert "the batch of input 't' is free" in note
    (note,) = notes(written(tmp_path / "m.onnx", OPEN))
    assert note.endswith(render(f"; {option('input')} sets another"))


def test_nothing_is_told_of_what_was_given_or_of_what_is_only_read(tmp_path: Path) -> None:
    image, pair = written(tmp_path / "1.onnx", ONE), written(tmp_path / "2.onnx", TWO)
    assert notes(written(tmp_path / "3.onnx", FIXED)) == []
    assert notes(image, input={"x": (1, 3, 8, 8)}) == []
    assert notes(image, input={"x": (2, 3, 8, 8)}) == []
    assert notes(pair, input={"x": (1, 4)}, constant={"t": 1.0}) == []
    assert notes(image, "check") == notes(image, "predict") == []


def test_the_command_line_says_it_once(tmp_path: Path, rockpress: Run) -> None:
    model, samples = written(tmp_path / "m.onnx", ONE), tmp_path / "s.npy"
    np.save(samples, np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32))
    line = ["quantize", model, "--calib", samples, "-o", tmp_path / "q.onnx"]
    code, _, err = rockpress(*line)
    assert code == 0, err
    assert err.count("is fixed to 1; --input x=4x3x8x8 sets another") == 1
    code, _, err = rockpress(*line, "--input", "x=1x3x8x8")
    assert code == 0, err
    assert "fixed to 1" not in err
