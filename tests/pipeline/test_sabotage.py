"""Results that are bad without an error: each is said in the first line, or fails; none passes.

docs/trust.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from commands import Ended, Run
from fake_toolkit import FakeToolkit
from graphs import Weights, model_of, random_feeds
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.convert.latency.estimate import Latency
from rockpress.convert.toolkit.rknn_file import RknnFacts, RknnTensor
from rockpress.core.types import Array
from samples import save_feeds

Sabotage = Callable[[ModelProto], None]

DETECTOR = """(float[1,3,8,8] x) => (float[1,7,64] y, float[1,8,8,8] taps) {
    taps = Conv (x, "taps.weight")
    box = Conv (taps, "box.weight")  cls = Conv (taps, "cls.weight")
    flat_box = Reshape (box, "box.shape")  flat_cls = Reshape (cls, "cls.shape")
    boxes = Mul (flat_box, "strides")  gained = Mul (flat_cls, "gain")  scores = Sigmoid (gained)
    y = Concat <axis = 1> (boxes, scores) }"""
WEIGHTS: Weights = {
    "taps.weight": (8, 3, 1, 1),
    "box.weight": (4, 8, 1, 1),
    "cls.weight": (3, 8, 1, 1),
    "box.shape": np.array([1, 4, 64]),
    "cls.shape": np.array([1, 3, 64]),
    "strides": np.full((1, 1, 64), 32.0),
    "gain": np.full(1, 3.0),
}
COUNT = 40


def scaled(name: str, factor: float) -> Sabotage:
    return changed(name, lambda weight: factor * weight)


def changed(name: str, change: Callable[[Array], Array]) -> Sabotage:
    """Put other values into an initializer."""

    def apply(model: ModelProto) -> None:
        (tensor,) = (each for each in model.graph.initializer if each.name == name)
        value = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(change(value).astype(value.dtype), name))

    return apply


def followed_by(tensor: str, *steps: tuple[str, float]) -> Sabotage:
    """Compute something more from an inner tensor, each step with a constant."""

    def apply(model: ModelProto) -> None:
        source, nodes = f"{tensor}.before", list(model.graph.node)
        for node in nodes:
            node.output[:] = [source if name == tensor else name for name in node.output]
        place = 1 + max(index for index, node in enumerate(nodes) if source in node.output)
        for index, (operator, value) in enumerate(steps):
            constant = f"{tensor}.{index}"
            model.graph.initializer.append(
                numpy_helper.from_array(np.array(value, np.float32), constant)
            )
            output = tensor if index + 1 == len(steps) else f"{source}.{index}"
            node = onnx.helper.make_node(operator, [source, constant], [output])
            model.graph.node.insert(place + index, node)
            source = output

    return apply


def noise(weight: Array) -> Array:
    return np.random.default_rng(7).standard_normal(weight.shape)


def without_output(model: ModelProto) -> None:
    del model.graph.output[1:]


def transposed(model: ModelProto) -> None:
    for node in model.graph.node:
        node.output[:] = ["y.before" if name == "y" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Transpose", ["y.before"], ["y"], perm=[0, 2, 1]))
    dims = model.graph.output[0].type.tensor_type.shape.dim
    dims[1].dim_value, dims[2].dim_value = 64, 7


DEAD_SCORES = r"^FAIL( rk3588)?: 'scores' of output 'y' is dead"
# what was done to a detector without labels -> what `check` says of it
DETECTORS: dict[str, tuple[Sabotage, str]] = {
    "every score is 0": (followed_by("scores", ("Mul", 0)), DEAD_SCORES),
    "every score is one half": (scaled("gain", 0), DEAD_SCORES),
    "boxes are constant": (scaled("box.weight", 0), r"^FAIL: 'boxes' of output 'y' is dead"),
    "every part is constant": (scaled("taps.weight", 0), r"^FAIL: .* is dead.* is dead.* is dead"),
    "scores are NaN": (
        followed_by("scores", ("Mul", 0), ("Div", 0)),
        r"^FAIL: 'scores' .* it is not finite",
    ),
    "boxes are infinite": (followed_by("boxes", ("Div", 0)), r"^FAIL: 'boxes' .* it is not finite"),
    "boxes in another unit": (scaled("strides", 1 / 320), r"^FAIL: 'boxes' of output 'y' is dead"),
    "boxes have the wrong scale": (scaled("strides", 2), r"^FAIL: 'boxes' .* 0\.00 dB"),
    "boxes have the wrong sign": (scaled("strides", -1), r"^FAIL: 'boxes' .* -6\.02 dB"),
    "scores are squeezed": (scaled("gain", 0.3), r"^no gate: .*farther .* than usual"),
    "classes are swapped": (changed("cls.weight", lambda w: w[::-1]), r"^no gate: .*farther"),
    "red and blue are swapped": (
        changed("taps.weight", lambda w: w[:, ::-1]),
        r"^FAIL: .* mostly noise",
    ),
    "a layer has other weights": (changed("box.weight", noise), r"^FAIL: 'boxes' .* dB"),
    "an output is gone": (without_output, r"the baseline has 2 outputs and the candidate 1"),
    "an output is transposed": (transposed, r"shape \(7, 64\) in the baseline"),
}


@pytest.fixture
def detector(tmp_path: Path) -> tuple[Path, Path]:
    """A detector that joins boxes and scores, and samples for it."""
    model = model_of(DETECTOR, WEIGHTS)
    path = tmp_path / "detector.onnx"
    onnx.save(model, path)
    return path, save_feeds(tmp_path / "samples.npz", random_feeds(model, COUNT))


def said_first(ended: Ended) -> str:
    """The first line of the result, or the error where there is none."""
    if ended.out:
        return ended.out.splitlines()[0]
    return next(line for line in ended.err.splitlines() if line.startswith("error: "))


def require_said(ended: Ended, pattern: str) -> None:
    """Hold that it is said, by the exit code or in the first line, and that it is no pass."""
    line = said_first(ended)
    assert re.search(pattern, line), line
    assert not line.startswith(("PASS:", "PASS rk"))
    assert ended.code == (4 if line.startswith("FAIL") else 0 if ended.out else 1)


@pytest.mark.parametrize("way", DETECTORS)
def test_a_detector_that_is_broken(way: str, detector: tuple[Path, Path], rockpress: Run) -> None:
    path, samples = detector
    sabotage, pattern = DETECTORS[way]
    model = onnx.load(path)
    sabotage(model)
    onnx.save(model, path.with_name("broken.onnx"))
    line = ["check", path, path.with_name("broken.onnx"), "--calib", samples]
    require_said(rockpress(*line), pattern)


def test_a_detector_that_is_whole(detector: tuple[Path, Path], rockpress: Run) -> None:
    path, samples = detector
    ended = rockpress("check", path, path, "--calib", samples)
    assert ended.code == 0 and said_first(ended).startswith("no gate: the outputs are alive")


# A classifier with labels


PIXELS = ("--mean", "73", "--std", "90")


def classifier_without(name: str, change: Callable[[Array], Array], folder: Path) -> Path:
    model = onnx.load(sample_path(MODEL))
    changed(name, change)(model)
    path = folder / "broken.onnx"
    onnx.save(model, path)
    return path


def last_bias(model: ModelProto) -> str:
    return str(model.graph.node[-1].input[2])


def lowered(bias: Array) -> Array:
    low = bias.copy()
    low[4] -= 8
    return low


def raised(bias: Array) -> Array:
    high = bias.copy()
    high[4] += 1000
    return high


@pytest.mark.parametrize(
    ("change", "gated", "pattern"),
    [
        (lowered, False, r"^no gate: .* of top1 kept .*; never right any more: class 4"),
        (lowered, True, r"^FAIL: min-retention 98% does not hold.*never right any more: class 4"),
        (raised, True, r"^FAIL: .*min-retention 98% does not hold"),
        (raised, False, r"^(FAIL|no gate): .*of top1 kept"),
    ],
    ids=["one class gone", "one class gone, gated", "always one class, gated", "always one class"],
)
def test_a_classifier_that_is_broken(
    change: Callable[[Array], Array], gated: bool, pattern: str, tmp_path: Path, rockpress: Run
) -> None:
    broken = classifier_without(last_bias(onnx.load(sample_path(MODEL))), change, tmp_path)
    line = ["check", sample_path(MODEL), broken, "--eval", sample_path(TEST), *PIXELS]
    gate = ["--min-retention", "0.98"] if gated else []
    require_said(rockpress(*line, "--eval-count", "300", *gate), pattern)


def relabelled(folder: Path, labels: Callable[[Array], Array], count: int = 120) -> Path:
    """The bundled test samples with other labels."""
    with np.load(sample_path(TEST)) as bundled:
        images, classes = bundled["images"][:count], bundled["labels"][:count]
    path = folder / "labelled.npz"
    np.savez(path, images=images, labels=labels(classes))
    return path


@pytest.mark.parametrize(
    ("labels", "count", "options", "pattern"),
    [
        (np.random.default_rng(0).permutation, 120, PIXELS, r"labels in any order would give"),
        (
            lambda classes: 0 * classes,
            120,
            PIXELS,
            r"^PASS \(with doubts\)( rk3588)?: .*have the label 0",
        ),
        (
            np.copy,
            20,
            PIXELS,
            r"^PASS \(with doubts\)( rk3588)?: .*20 samples cannot tell 100.0% from the limit",
        ),
        (np.copy, 120, ("--mean", "90", "--std", "73"), r"the samples are fed wrongly"),
        (
            np.copy,
            120,
            ("--mean", "0.286", "--std", "0.353"),
            r"^PASS \(with doubts\)( rk3588)?: .*0\.908 with",
        ),
    ],
    ids=["wrong labels", "labels of one class", "too few samples", "wrong mean", "wrong scale"],
)
def test_samples_that_tell_nothing(
    labels: Callable[[Array], Array],
    count: int,
    options: tuple[str, ...],
    pattern: str,
    tmp_path: Path,
    rockpress: Run,
) -> None:
    samples, model = relabelled(tmp_path, labels, count), sample_path(MODEL)
    line = ["check", model, model, "--eval", samples, *options, "--min-retention", "0.98"]
    require_said(rockpress(*line), pattern)


def test_samples_that_the_model_was_calibrated_with(tmp_path: Path, rockpress: Run) -> None:
    samples, model = relabelled(tmp_path, np.copy, 300), sample_path(MODEL)
    line = ["check", model, model, "--eval", samples, "--calib", samples, *PIXELS]
    require_said(
        rockpress(*line, "--min-retention", "0.9"),
        r"^PASS \(with doubts\)( rk3588)?: .*calibration",
    )


# What comes out of the toolkit


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> FakeToolkit:
    fake = FakeToolkit()
    monkeypatch.setattr("rockpress.convert.toolkit_build.run_job", fake)
    monkeypatch.setattr("rockpress.convert.toolkit_build.needs_lowering", lambda python: False)
    monkeypatch.setattr("rockpress.pipeline.run.require_toolkit", lambda python: "2.5.0")
    return fake


def dead_scores(outputs: list[Array]) -> list[Array]:
    return [np.concatenate([outputs[0][..., :4, :], 0 * outputs[0][..., 4:, :]], -2), outputs[1]]


def nan(outputs: list[Array]) -> list[Array]:
    return [np.nan * outputs[0], outputs[1]]


def same_for_all(outputs: list[Array]) -> list[Array]:
    return [np.repeat(output[:1], len(output), axis=0) for output in outputs]


def coarse(outputs: list[Array]) -> list[Array]:
    steps = [np.abs(output).max() / 2 for output in outputs]
    return [np.rint(output / step) * step for output, step in zip(outputs, steps, strict=True)]


@pytest.mark.parametrize(
    ("corrupts", "pattern"),
    [
        (dead_scores, DEAD_SCORES),
        (nan, r"the simulator computes NaN"),
        (same_for_all, r"^FAIL rk3588: .* is dead"),
        (coarse, r"^(FAIL|no gate) rk3588: .*(noise|farther)"),
    ],
)
def test_a_build_that_computes_something_else(
    corrupts: Callable[[list[Array]], list[Array]],
    pattern: str,
    toolkit: FakeToolkit,
    detector: tuple[Path, Path],
    rockpress: Run,
) -> None:
    path, samples = detector
    toolkit.corrupts = corrupts
    require_said(rockpress(*run_line(path, samples)), pattern)


def run_line(model: Path, samples: Path) -> list[str | Path]:
    options: list[str | Path] = [
        "--method",
        "min-max",
        "--mixed",
        "off",
        "-o",
        model.with_name("build"),
    ]
    return ["run", model, "--calib", samples, *options]


def test_an_output_that_the_toolkit_dropped(
    toolkit: FakeToolkit,
    detector: tuple[Path, Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    present = (RknnTensor("taps", (1, 8, 8, 8), "float32"),)
    facts = RknnFacts("rk3588", "2.5.0", None, 6, 400, 300, "ONNX", (), present)
    monkeypatch.setattr("rockpress.convert.built_outputs.read_rknn", lambda path: facts)
    toolkit.corrupts = lambda outputs: outputs[1:]
    ended = rockpress(*run_line(*detector))
    require_said(ended, r"^FAIL rk3588: 'boxes' of output 'y' is dead: it is not finite")
    assert "the toolkit left 'y', which the model computes, out of the .rknn" in ended.err


def test_a_result_that_is_slower_or_larger_than_in_float16(
    toolkit: FakeToolkit,
    detector: tuple[Path, Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = chain([1.0, 4.0], repeat(1.0))  # float16 is built first
    monkeypatch.setattr(
        "rockpress.convert.convert.estimate",
        lambda layers, chip, toolkit: Latency("npu-estimate", ms := next(times), ms, ms, 100),
    )
    toolkit.bytes_of_float16 = 300
    ended = rockpress(*run_line(*detector), "--max-size-mb", "9")
    pattern = r"^PASS \(with doubts\)( rk3588)?: .*slower and .*larger than float16"
    require_said(ended, pattern)
    assert "[result-slower]" in ended.err and "hint: take --scheme float16" in ended.err
    assert "[result-larger]" in ended.err
    ended = rockpress(
        *run_line(*detector)[:4], "--scheme", "float16", "-o", detector[0].with_name("half")
    )
    assert "[result-" not in ended.err
    assert not re.search("slower|larger", said_first(ended))


def test_files_that_are_stale(
    toolkit: FakeToolkit, detector: tuple[Path, Path], rockpress: Run
) -> None:
    path, samples = detector
    assert rockpress(*run_line(path, samples)).code == 0
    folder = path.with_name("build") / "rk3588"
    rknn, intended = folder / "detector.rknn", folder / "detector.intended.onnx"
    model = onnx.load(intended)
    model.producer_name = "another"
    onnx.save(model, intended)
    line = ["check", path, rknn, "--calib", samples]
    require_said(rockpress(*line), r"detector\.intended\.onnx: .*changed")
    rknn.write_bytes(b"another")
    require_said(rockpress(*line), r"detector\.rknn")
