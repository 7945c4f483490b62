"""The compiler as an oracle: cycles of many small models, from one process that stays warm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto

from ..core.graphs.model import is_qdq, save_model
from ..core.scratch import scratch_folder
from .chips.compiler_log import Layer, parse_layers
from .chips.structure import structure_digest
from .chips.targets import find_target
from .handover import inputs_of, write_dataset
from .toolkit.failures import (
    Limits,
    ToolkitCrashed,
    ToolkitEnded,
    ToolkitExited,
    ToolkitOutOfMemory,
    ToolkitRaised,
    ToolkitRefused,
)
from .toolkit.job import ToolkitJob, run_job
from .toolkit.process import ChildProcess

_LIMITS = Limits(timeout=600, memory_gb=12)
# The toolkit keeps a little of every model: 500 small ones cost some tens of megabytes.
_JOBS_OF_A_CHILD = 500


class Oracle:
    """Compiles models and reads the cycles off; a context manager, used by one thread.

    Answers are kept by the structure of the model (operators and shapes, not weights), so that a
    search that comes back to a layer's shape does not compile it again.

        with Oracle() as oracle:
            cycles = oracle.cycles(model, "rk3588")
    """

    def __init__(self, python: Path | None = None, limits: Limits = _LIMITS) -> None:
        self.compiled = 0  # models that were not known already
        self._python = python
        self._limits = limits
        self._answers: dict[tuple[str, str, str], tuple[Layer, ...]] = {}
        self._child: ChildProcess | None = None
        self._done = 0  # by the child that runs

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cycles(self, model: ModelProto, target: str, dtype: str = "int8") -> int:
        """Return the cycles of one inference on one core: the sum of the table's Total column.

        ``dtype`` is int8 or float16, for a float model; a QDQ model is taken as it says. Raises
        ToolkitError when the compiler cannot build the model, RockpressError for another target.
        """
        return sum(layer.total_cycles for layer in self.layers(model, target, dtype))

    def layers(self, model: ModelProto, target: str, dtype: str = "int8") -> tuple[Layer, ...]:
        """Return the compiler's layer table; see cycles."""
        chip = find_target(target)
        quantization = "qdq" if is_qdq(model) else dtype
        key = (structure_digest(model), chip.name, quantization)
        if key not in self._answers:
            self._answers[key] = self._compile(model, chip.name, quantization)
            self.compiled += 1
        return self._answers[key]

    def close(self) -> None:
        """End the child process; the next question starts another."""
        if self._child is not None:
            self._child.close()
        self._child, self._done = None, 0

    def _compile(self, model: ModelProto, target: str, quantization: str) -> tuple[Layer, ...]:
        with scratch_folder() as folder:
            save_model(model, folder / "model.onnx")
            job = ToolkitJob(
                model=str(folder / "model.onnx"),
                config={"target_platform": target},
                dataset="dataset.txt" if quantization == "int8" else None,
                export=None,
            )
            if job.dataset:
                _write_one_sample(model, folder)
            return parse_layers(self._log_of(job, folder, target))

    def _log_of(self, job: ToolkitJob, folder: Path, target: str) -> str:
        warm = self._child is not None
        try:
            return self._run(job, folder, target)
        except ToolkitEnded:
            pass
        except (ToolkitCrashed, ToolkitExited, ToolkitOutOfMemory):
            if not warm:
                raise
        return self._run(job, folder, target)  # the model before may have spoiled that child

    def _run(self, job: ToolkitJob, folder: Path, target: str) -> str:
        if self._child is None:
            self._child = ChildProcess(folder, self._python)
        usable = False
        try:
            label = f"a model for {target}"
            built = run_job(job, folder, label=label, limits=self._limits, child=self._child)
            self._done += 1
            usable = self._done < _JOBS_OF_A_CHILD
        except (ToolkitRaised, ToolkitRefused):
            usable = True
            raise
        finally:
            if not usable:
                self.close()
        return built.log


def _write_one_sample(model: ModelProto, folder: Path) -> None:
    """Cycles do not depend on values, but the toolkit's quantizer asks for some."""
    random = np.random.default_rng(0)
    inputs = inputs_of(model, None, None)
    sample = {
        tensor.name: random.uniform(0, 1, tensor.shape).astype(tensor.dtype) for tensor in inputs
    }
    write_dataset([sample], inputs, folder)
