"""What a board is fed, and what is read of its outputs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fake_board import FakeBoard, loaded, stored, tensor
from rockpress.accuracy.board_runner import BoardRunner
from rockpress.calibration_data.samples import open_samples
from rockpress.core.errors import ModelError, SamplesError
from rockpress.core.results.board_figures import BoardOutput
from rockpress.core.types import Array

IMAGES = tensor("x", 1, 6, 8, 3, format="NHWC")
ROW = tensor("y", 1, 4)


def tensors_in(folder: Path, *shape: int) -> Path:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.save(folder / "x.npy", values)
    return folder / "x.npy"


def means(inputs: list[Array]) -> Array:
    return inputs[0].astype(np.float32).reshape(len(inputs[0]), -1)[:, :4]


def stored_means(scale: float, zero_point: int, inputs: list[Array]) -> list[BoardOutput]:
    return [stored(means(inputs), scale, zero_point)]


def test_int8_is_read_by_scale_and_zero_point(tmp_path: Path) -> None:
    samples = open_samples(tensors_in(tmp_path, 5, 1, 4), {"x": (1, 4)})
    expected = np.concatenate([feeds["x"] for feeds in samples])
    for scale, zero_point in ((0.05, 3), (0.1, -20)):
        board = FakeBoard(partial(stored_means, scale, zero_point))
        (read,) = BoardRunner(board, loaded([tensor("x", 1, 4)], [ROW]), ["x"])(samples)
        assert read.dtype == np.float32 and read.shape == (5, 4)
        assert 0 < np.abs(read - expected).max() <= scale / 2 + 1e-6


def test_prepared_images_are_sent_with_their_channels_last(tmp_path: Path) -> None:
    samples = open_samples(tensors_in(tmp_path, 2, 1, 3, 6, 8), {"x": (1, 3, 6, 8)})
    board = FakeBoard(lambda fed: [stored(fed[0])])
    output = tensor("y", 1, 6, 8, 3, format="NHWC")  # of a runtime that gives them last too
    (read,) = BoardRunner(board, loaded([IMAGES], [output]), ["x"])(samples)
    assert [x.shape for (x,) in board.fed] == [(1, 6, 8, 3)] * 2
    assert all(x.flags.c_contiguous for (x,) in board.fed)
    np.testing.assert_array_equal(read, np.concatenate([feeds["x"] for feeds in samples]))


def test_a_model_of_several_rows_gets_the_sample_in_each(tmp_path: Path) -> None:
    samples = open_samples(tensors_in(tmp_path, 3, 1, 4), {"x": (1, 4)})
    board = FakeBoard(lambda fed: [stored(means(fed))])
    four = loaded([tensor("x", 4, 4)], [tensor("y", 4, 4)])
    (read,) = BoardRunner(board, four, ["x"], rows=4)(samples)
    assert [x.shape for (x,) in board.fed] == [(4, 4)] * 3
    assert all((x == x[0]).all() for (x,) in board.fed)
    np.testing.assert_array_equal(read, np.concatenate([feeds["x"] for feeds in samples]))


def test_samples_of_a_batch_are_told_apart(tmp_path: Path) -> None:
    samples = open_samples(tensors_in(tmp_path, 5, 4), {"x": (2, 4)})
    board = FakeBoard(lambda fed: [stored(means(fed))])
    two = loaded([tensor("x", 2, 4)], [tensor("y", 2, 4)])
    (read,) = BoardRunner(board, two, ["x"])(samples)
    assert len(board.fed) == 3
    np.testing.assert_array_equal(read, np.load(tmp_path / "x.npy"))


def test_a_model_of_another_size_is_refused(tmp_path: Path) -> None:
    samples = open_samples(tensors_in(tmp_path, 2, 1, 3, 6, 8), {"x": (1, 3, 6, 8)})
    board = FakeBoard(lambda fed: [stored(fed[0])])
    other = tensor("x", 1, 8, 6, 3, format="NHWC")
    with pytest.raises(ModelError, match=r"\(1, 8, 6, 3\) on the board"):
        BoardRunner(board, loaded([other], [ROW]), ["x"])(samples)
    with pytest.raises(ModelError, match="the inputs x, and on the board x, z"):
        BoardRunner(board, loaded([IMAGES, tensor("z", 1)], [ROW]), ["x"])(samples)
    assert not board.fed


def test_outputs_that_do_not_fit_into_memory_are_refused_at_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = open_samples(tensors_in(tmp_path, 5, 1, 4), {"x": (1, 4)})
    monkeypatch.setattr("rockpress.accuracy.runners.MAX_OUTPUT_BYTES", 32)
    board = FakeBoard(lambda fed: [stored(means(fed))])
    with pytest.raises(SamplesError, match="outputs of 5 samples"):
        BoardRunner(board, loaded([tensor("x", 1, 4)], [ROW]), ["x"])(samples)
    assert len(board.fed) == 1
