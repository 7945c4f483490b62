"""Smallest and largest value of every activation over the calibration samples, streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from onnx import ModelProto

from ..calibration_data.statistics import stream
from ..core.errors import ModelError
from ..core.graph import Array

Ranges = dict[str, tuple[float, float]]


def measure_ranges(
    model: ModelProto,
    tensors: Sequence[str],
    samples: Iterable[Mapping[str, Array]],
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[Ranges, int]:
    """Tensor name -> (min, max), and the number of samples seen.

    Keeps two numbers a tensor, whatever the number of samples. Raises ModelError when a tensor
    becomes infinite, SamplesError when there are no samples.
    """
    ranges: Ranges = {}

    def widen(values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))

    count = stream(model, tensors, samples, widen, on_progress)
    for name, (low, high) in ranges.items():
        if max(-low, high) == float("inf"):
            raise ModelError(
                f"the tensor {name!r} becomes infinite on the calibration samples",
                "check --mean and --std: the samples may be scaled wrongly",
            )
    return ranges, count
