"""One ONNX Runtime session, with its failures in the user's terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto

from .diagnostics import option
from .errors import ModelError, OutputError
from .native_work import native_work
from .scratch import MAKE_SPACE
from .threads import threads_allowed
from .types import Array

_ORT_ERRORS = """Fail EPFail InvalidArgument InvalidGraph InvalidProtobuf NoSuchFile NotImplemented
    RuntimeException""".split()


# what switches off the optimisations that know of Q and DQ
_SCALE_OPTIMISATIONS = ("session.disable_quant_qdq", "session.disable_double_qdq_remover")

# ONNX Runtime's name of the type of an input -> the type in NumPy
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{
        f"tensor({name})": name
        for name in (
            *("float16", "bool", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64"),
        )
    },
}


class Session:
    """A model ready to run on this host's CPU.

    ``optimise=False`` switches all graph optimisations off. It is needed for a quantized model:
    the optimiser changes the numbers of a partly quantized graph (8.7 dB instead of 21.4 dB
    against the original were seen). With ``keeps_scales`` only those are off that move, join or
    drop its scales: then it computes the same up to the order in which sums are added up, in two
    thirds of the time. ``folded_to`` saves the model after the basic optimisations.

    It has ``threads`` threads, else as many as OMP_NUM_THREADS allows (ONNX Runtime itself does not
    look at it), else one a core. They sleep between two operators. With ``spins`` they wait awake,
    as by ONNX Runtime's default: that is faster for one model alone on a machine, but between two
    samples, and with small operators, it takes CPU time that other work needs. Without it each
    tensor takes memory of its own, not one block for all, which is larger. The outputs are the
    same.
    """

    def __init__(
        self,
        model: ModelProto | Path,
        *,
        optimise: bool = True,
        keeps_scales: bool = False,
        threads: int = 0,
        spins: bool = False,
        folded_to: Path | None = None,
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads or threads_allowed()
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
        options.enable_mem_pattern = spins
        if keeps_scales:
            for entry in _SCALE_OPTIMISATIONS:
                options.add_session_config_entry(entry, "1")
        elif not optimise:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if folded_to:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(folded_to)
        source = str(model) if isinstance(model, Path) else model.SerializeToString()
        try:
            with native_work("ONNX Runtime loaded the model"):
                self._session = ort.InferenceSession(source, options, ["CPUExecutionProvider"])
            # its copy of the whole model, for other hardware that it could fall back from
            self._session._model_bytes = None
        except _ort_errors() as error:
            # it was loaded, so it is not the model's fault
            if folded_to and "serialization failed" in str(error):
                text = f"cannot write {folded_to}: no space left, or the file is too large"
                raise OutputError(text, MAKE_SPACE) from error
            raise ModelError(
                f"ONNX Runtime cannot load the model: {_reason(error)}",
                "check it with onnx.checker, or export it with a lower opset",
            ) from error
        self.input_names: list[str] = [value.name for value in self._session.get_inputs()]
        self._types = {
            value.name: np.dtype(_TYPES[value.type])
            for value in self._session.get_inputs()
            if value.type in _TYPES
        }
        self.output_names: list[str] = [value.name for value in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Run once; ``feeds`` maps input name -> array. Returns the outputs in order.

        Numbers of another type than the input's become that type. Raises ModelError where it has
        no such value.
        """
        typed = {name: self._typed(name, value) for name, value in feeds.items()}
        try:
            with native_work("ONNX Runtime ran the model on a sample"):
                results: list[Array] = self._session.run(
                    list(outputs) if outputs is not None else None, typed
                )
        except _ort_errors() as error:
            shapes = {name: np.shape(value) for name, value in feeds.items()}
            raise ModelError(
                f"ONNX Runtime cannot run the model on inputs of shape {shapes}: {_reason(error)}",
                f"check {option('size')}, {option('input')} and the layout of the samples",
            ) from error
        return results

    def _typed(self, name: str, value: Array) -> Array:
        dtype = self._types.get(name)
        if dtype is None or np.asarray(value).dtype == dtype:
            return value
        with np.errstate(invalid="ignore"):
            typed = np.asarray(value).astype(dtype)
        if dtype.kind != "f" and not np.array_equal(typed, value):
            raise ModelError(
                f"input {name!r} takes {dtype}, which cannot hold the {np.asarray(value).dtype} "
                "values of the sample",
                f"save the samples as {dtype}",
            )
        return typed

    def stacked(self, samples: Iterable[Mapping[str, Array]]) -> list[Array]:
        """Run every sample (of batch 1) and return one array (samples, ...) for each output."""
        rows = [self.run(feeds) for feeds in samples]
        return [joined(parts) for parts in zip(*rows, strict=True)]


def joined(rows: Sequence[Array]) -> Array:
    """Join outputs of several runs along their batch; a single number is one row."""
    return np.concatenate([np.atleast_1d(row) for row in rows])


def _ort_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (*(getattr(state, name) for name in _ORT_ERRORS), ValueError)


def _reason(error: Exception) -> str:
    """The part of ONNX Runtime's message that says what is wrong, in one line."""
    text = " ".join(str(error).split())
    return text.split(" : ", 3)[-1][:300]
