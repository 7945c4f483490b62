from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import model_of
from rockpress.accuracy import runners
from rockpress.accuracy.runners import Runner, measure_latency, run_onnxruntime
from rockpress.calibration_data.samples import open_samples
from rockpress.core.errors import ModelError, SamplesError
from rockpress.core.progress import Progress


@pytest.fixture
def pooling() -> ModelProto:
    """x (1, 3, 4, 4) -> mean (1, 3, 1, 1) and total (3,), which has no batch axis."""
    return model_of(
        """(float[1,3,4,4] x) => (float[1,3,1,1] mean, float[3] total) {
            mean = GlobalAveragePool (x)
            total = Squeeze (mean) }""",
        opset=13,
        prepared=False,
    )


def feeds(count: int) -> list[dict[str, NDArray[Any]]]:
    return [{"x": np.full((1, 3, 4, 4), index, dtype=np.float32)} for index in range(count)]


def test_outputs_are_stacked_over_the_samples(pooling: ModelProto, tmp_path: Path) -> None:
    onnx.save(pooling, str(tmp_path / "m.onnx"))
    for model in (pooling, tmp_path / "m.onnx"):
        mean, total = run_onnxruntime(model, feeds(5), optimise=False)
        assert mean.shape == (5, 3, 1, 1) and total.shape == (5, 3)
        np.testing.assert_array_equal(total, np.repeat(np.arange(5), 3).reshape(5, 3))


def test_progress_is_told_sample_by_sample(pooling: ModelProto) -> None:
    steps: list[tuple[str, int, int | None]] = []

    class Listener(Progress):
        def step(self, activity: str, done: int, total: int | None = None) -> None:
            steps.append((activity, done, total))

    run_onnxruntime(pooling, feeds(3), progress=Listener())
    assert steps == [("evaluate", done, 3) for done in (1, 2, 3)]


def test_a_runner_is_bound_to_its_model(pooling: ModelProto, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 8, 8, 3), 7, dtype=np.uint8))
    samples = open_samples(tmp_path / "a.npy", {"x": (1, 3, 4, 4)})
    runner: Runner = partial(run_onnxruntime, pooling)
    _, total = runner(samples)
    np.testing.assert_array_equal(total, np.full((2, 3), 7))


def test_no_samples_is_an_error(pooling: ModelProto) -> None:
    with pytest.raises(SamplesError, match="there are no samples to run"):
        run_onnxruntime(pooling, [])
    with pytest.raises(SamplesError, match="there are no samples to measure"):
        measure_latency(pooling, [])


def test_outputs_too_large_to_keep_are_refused(
    pooling: ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "MAX_OUTPUT_BYTES", 240)  # a sample has 24 bytes
    assert len(run_onnxruntime(pooling, feeds(10))[0]) == 10
    with pytest.raises(SamplesError, match="the outputs of 20 samples take") as caught:
        run_onnxruntime(pooling, feeds(20))
    assert caught.value.hint == "use at most --eval-count 10"


def test_an_output_whose_shape_varies_is_named() -> None:
    model = model_of(
        """(float[1,3] x) => (float[2,?] y) {
            places = NonZero (x)
            y = Cast <to = 1> (places) }""",
        opset=13,
        prepared=False,
    )
    samples = [{"x": np.array([row], dtype=np.float32)} for row in ([1, 1, 0], [1, 0, 0])]
    with pytest.raises(ModelError, match=r"output 'y' has the shape \(2, 1\) for sample 1, but"):
        run_onnxruntime(model, samples)


def test_latency_is_a_positive_median(pooling: ModelProto) -> None:
    assert measure_latency(pooling, feeds(2), runs=5) > 0


@pytest.mark.parametrize(("seconds", "runs"), [(0.001, 50), (0.02, 25), (0.3, 10)])
def test_the_latency_of_a_slow_model_is_of_fewer_runs(
    pooling: ModelProto, monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int
) -> None:
    counted = list[object]()

    def taking(session: object, fed: object) -> float:
        counted.append(fed)
        return seconds

    monkeypatch.setattr("rockpress.accuracy.runners._seconds", taking)
    assert measure_latency(pooling, feeds(3)) == pytest.approx(1000 * seconds)
    assert len(counted) == runs
