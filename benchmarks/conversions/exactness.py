"""How exact the outputs of a conversion are, against the float model in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.core.graphs.output_parts import parts_of
from rockpress.core.results.part_figures import worst_part
from rockpress.core.streaming.part_similarity import compared
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

from .models import Model
from .samples import samples_of

Array = NDArray[Any]


def exactness(model: Model, file: Path, folder: Path, count: int) -> float | None:
    """Return the SQNR in dB of the worst part; None without outputs, NaN for NaN or shapes."""
    files = sorted(folder.glob("output*.npy"))
    if not files:
        return None
    outputs = [np.load(path) for path in sorted(files, key=lambda path: int(path.stem[6:]))]
    reference = _reference(model, file, count)
    rows = [values.reshape(len(values), -1) for values in reference]
    if [each.shape for each in rows] != [each.shape for each in outputs]:
        return float("nan")
    options = ModelOptions(input=model.shapes, constant=model.constants)
    parts = parts_of(ready_model(file, options).model)
    worst = worst_part(compared(parts, rows, outputs))
    return worst.sqnr_db if worst.finite else float("nan")


def _reference(model: Model, file: Path, count: int) -> list[Array]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # some models declare outputs of another shape than they give
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    samples = samples_of(model, count, seed=2)
    rows = []
    for index in range(count):
        feeds = {
            described.name: np.asarray(samples[described.name][index].reshape(described.shape))
            for described in model.inputs
        }
        rows.append([np.asarray(output, np.float64) for output in session.run(None, feeds)])
    return [np.stack(column) for column in zip(*rows, strict=True)]
