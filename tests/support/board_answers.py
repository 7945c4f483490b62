"""A board's runtime that knows the outputs for samples, for what is measured on a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rockpress.accuracy.runners import run_onnxruntime
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.convert.convert import convert
from rockpress.convert.manifest import Manifest
from rockpress.core.results.layer_rows import FeedInput, FeedOutput
from rockpress.core.types import Array
from rockpress.pipeline.options.convert_options import ToolkitOptions
from rockpress.pipeline.rebuilding import open_rebuildable
from rockpress.pipeline.tasks.converting import NpuFeeds
from stand_in_board import StandInBoard


@dataclass(frozen=True)
class Built:
    """A model, its ``.rknn``, labelled samples, and what the simulator gives for them."""

    model: Path
    rknn: Path
    manifest: Manifest
    labelled: Path
    samples: Samples
    simulated: list[Array]
    board: str = "local"

    def check(self) -> list[object]:
        """Return the words of a check on the board, which are the last two."""
        return ["check", self.model, self.rknn, "--eval", self.labelled, "--board", self.board]


def tensor_line(tensor: FeedInput | FeedOutput) -> str:
    """Return an input or output of a manifest as a setting of the stand-in."""
    shape = "x".join(map(str, tensor.shape))
    layout = "NHWC" if len(tensor.shape) == 4 else "UNDEFINED"
    if isinstance(tensor, FeedInput):
        return f"{tensor.name} {'int8' if tensor.dtype == 'uint8' else 'float32'} {layout} {shape}"
    layout = "NCHW" if len(tensor.shape) == 4 else "UNDEFINED"
    line = f"{tensor.name} {tensor.dtype} {layout} {shape}"
    return line if tensor.scale is None else f"{line} {tensor.scale!r} {tensor.zero_point}"


def stored(values: Array, output: FeedOutput) -> Array:
    """Return real values as they are stored: int8 where the output has a scale."""
    if output.scale is None:
        return values.astype(np.float32)
    steps: Array = np.round(values / output.scale) + (output.zero_point or 0)
    return steps.clip(-128, 127).astype(np.int8)


def teach(
    board: StandInBoard,
    manifest: Manifest,
    samples: Samples,
    outputs: Sequence[Array],
    **settings: object,
) -> None:
    """Have the board give ``outputs`` (N, ...) for the samples, as the manifest stores them.

    ``settings`` may have an ``input`` and ``output`` instead of the manifest's.
    """
    for index in range(len(samples)):
        feeds = list(samples.npu_feeds(index).values())
        rows = [
            stored(output[index], described)
            for output, described in zip(outputs, manifest.outputs, strict=True)
        ]
        settings["answers"] = board.answer(feeds, rows)
    tensors = {
        "input": [tensor_line(each) for each in manifest.inputs],
        "output": [tensor_line(each) for each in manifest.outputs],
    }
    board.set(**{**tensors, **settings})


def simulated_by_toolkit(model: Path, rknn: Path, labelled: Path, samples: Samples) -> Built:
    """Return a ``.rknn`` that the toolkit has built, with what its simulator gives."""
    options = ToolkitOptions()
    opened = open_rebuildable(rknn, options)
    request = opened.request(options, samples.npu_preprocess, samples, NpuFeeds(samples))
    simulated = convert(request).outputs
    assert simulated is not None
    return Built(model, rknn, opened.manifest, labelled, samples, simulated)


def save_labelled(folder: Path, model: Path, count: int) -> tuple[Path, Path, Samples]:
    """Write images of one colour each, of which the model says three classes, all as often.

    Return the set with these as labels, the images alone, and as samples.
    """
    colours = np.random.default_rng(0).integers(0, 256, (40 * count, 1, 1, 3), np.uint8)
    images = np.broadcast_to(colours, (len(colours), 32, 32, 3))
    unlabelled, labelled = folder / "images.npy", folder / "labelled.npz"
    np.save(unlabelled, images)
    shape = {"x": (1, 3, 32, 32)}
    (scores,) = run_onnxruntime(model, open_samples(unlabelled, shape))
    classes = scores.argmax(1)
    common = np.argsort(-np.bincount(classes))[:3]
    chosen = np.concatenate([np.flatnonzero(classes == each)[: count // 3] for each in common])
    assert len(chosen) == count
    np.save(unlabelled, images[chosen])
    np.savez(labelled, images=images[chosen], labels=classes[chosen])
    return labelled, unlabelled, open_samples(unlabelled, shape)
