"""ONNX Runtime's own static quantizer, in a process of its own: ``python ort_static.py JOB.json``.

Int8 in QDQ form, weights by channel, ranges from the smallest to the largest value: its defaults
but for the channels and the signed activations. The outputs are those of the quantized model in
ONNX Runtime, with its optimisations off.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """The calibration samples, one a call."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        """Return the feeds of the next sample, None after the last."""
        return next(self._feeds, None)


def main() -> None:
    """Do the job; ``result.json`` holds the message of a failure."""
    job = json.loads(Path(sys.argv[1]).read_text())
    quantize_static(
        job["model"],
        "quantized.onnx",
        Reader(_feeds(job, job["calib"])),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession("quantized.onnx", options, ["CPUExecutionProvider"])
    rows = [
        [output.ravel() for output in session.run(None, feeds)]
        for feeds in _feeds(job, job["eval"])
    ]
    for index, column in enumerate(zip(*rows, strict=True)):
        np.save(f"output{index}.npy", np.stack(column))
    Path("result.json").write_text(json.dumps({"error": "", "cycles": 0, "warnings": []}))


def _feeds(job: dict[str, Any], file: str) -> list[dict[str, Any]]:
    """Return the feeds of each sample, in the shapes of the inputs."""
    samples = np.load(file)
    count = len(samples[job["inputs"][0]])
    return [
        {
            name: np.asarray(samples[name][index].reshape(shape))
            for name, shape in zip(job["inputs"], job["shapes"], strict=True)
        }
        for index in range(count)
    ]


if __name__ == "__main__":
    main()
