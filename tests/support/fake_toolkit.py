"""What stands for the toolkit's child process, where the toolkit itself cannot be made to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rockpress.convert.toolkit.failures import ToolkitCrashed, ToolkitRaised
from rockpress.convert.toolkit.job import BuildResult, ToolkitJob
from rockpress.core.session import Session
from rockpress.core.types import Array

Refuses = Callable[[ToolkitJob], bool]


def is_without(rule: str) -> Refuses:
    return lambda job: rule not in job.config.get("disable_rules", ())


@dataclass
class FakeToolkit:
    """Stands for the child process: crashes as it is told to, else computes what the file says."""

    refuses: Refuses = lambda job: False
    raises_in: str = ""
    version: str = "2.5.0"
    corrupts: Callable[[list[Array]], list[Array]] = lambda outputs: outputs
    bytes_of_float16: int = 400
    bytes_of_int8: int = 400
    jobs: list[Any] = field(default_factory=list)

    def __call__(self, job: ToolkitJob, folder: Path, **_: object) -> BuildResult:
        model = onnx.load(job.model)
        weights = hashlib.sha256(Path(job.model).read_bytes()).hexdigest()
        dataset = [np.load(file).tobytes() for file in sorted(folder.glob("*.npy"))]
        self.jobs.append((weights, dict(job.config), job.plan, job.dataset and dataset))
        if self.refuses(job):
            raise ToolkitCrashed("it crashed")
        if self.raises_in and is_without(self.raises_in)(job):
            error = ToolkitRaised("it raised")
            error.rule = self.raises_in
            raise error
        size = (
            self.bytes_of_int8 if "DequantizeLinear" in {n.op_type for n in model.graph.node} else 0
        )
        (folder / "model.rknn").write_bytes(b"RKNN" * (size or self.bytes_of_float16))
        off = tuple(job.config.get("disable_rules", ()))
        outputs = self.corrupts(self.simulated(model, job, folder)) if job.count else None
        return BuildResult(self.version, "", folder / "model.rknn", outputs, disabled=off)

    def simulated(self, model: onnx.ModelProto, job: ToolkitJob, folder: Path) -> list[Array]:
        session = Session(model, optimise=False)
        names = [value.name for value in model.graph.input]
        columns = [
            np.fromfile(folder / each.file, each.dtype).reshape(job.count, *each.shape)
            for each in job.inputs
        ]
        fed = [_normalised(column, job, place) for place, column in enumerate(columns)]
        rows = [session.run(dict(zip(names, row, strict=True))) for row in zip(*fed, strict=True)]
        return [np.concatenate(column).astype(np.float32) for column in zip(*rows, strict=True)]


def _normalised(column: Array, job: ToolkitJob, place: int) -> Array:
    """Return samples (N, 1, H, W, C) of pixels with mean and std applied, others as they are."""
    if column.dtype != np.uint8:
        return column
    mean, std = (np.array(job.config[f"{name}_values"][place]) for name in ("mean", "std"))
    normalised: Array = ((column - mean) / std).astype(np.float32)
    return normalised.transpose(0, 1, 4, 2, 3)
