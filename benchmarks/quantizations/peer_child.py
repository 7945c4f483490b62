"""A peer's quantizer, run by the interpreter that has it: ``python peer_child.py JOB.json``.

The standard library, numpy and the peer itself are all it imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_OPSET = 13  # the first whose DequantizeLinear knows a scale for each channel


def main() -> None:
    """Quantize ``model`` with the files of ``dataset``, one read at a time, into ``output``."""
    job = json.loads(Path(sys.argv[1]).read_text())
    job["model"] = _raised(job["model"])
    {"ort": _onnxruntime, "nncf": _nncf}[job["tool"]](job)


def _raised(file: str) -> str:
    """Return the model in the opset that both peers need; itself when it has it."""
    import onnx
    from onnx import version_converter

    model = onnx.load(file)
    if (
        next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
        >= _OPSET
    ):
        return file
    onnx.save(version_converter.convert_version(model, _OPSET), "raised.onnx")
    return "raised.onnx"


def _feeds(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    listing = Path(job["dataset"])
    for name in listing.read_text().split():
        yield {job["input"]: np.load(listing.parent / name)}


def _onnxruntime(job: dict[str, Any]) -> None:
    """Quantize in ONNX Runtime: MinMax, int8, QDQ, one weight scale a channel, else defaults.

    Its own preparation of the model (folded normalisations, known shapes) comes first.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = _feeds(job)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    quant_pre_process(job["model"], "prepared.onnx", skip_symbolic_shape=True)
    quantization.quantize_static(
        "prepared.onnx",
        job["output"],
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )


def _nncf(job: dict[str, Any]) -> None:
    """Quantize with NNCF as it comes, with all the samples instead of its first 300."""
    import nncf  # type: ignore[import-not-found]
    import onnx

    listing = Path(job["dataset"])
    files = [str(listing.parent / name) for name in listing.read_text().split()]
    dataset = nncf.Dataset(files, lambda file: {job["input"]: np.load(file)})
    model = nncf.quantize(onnx.load(job["model"]), dataset, subset_size=job["count"])
    onnx.save(model, job["output"])


if __name__ == "__main__":
    main()
