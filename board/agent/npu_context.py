"""A model that the runtime has loaded: what it takes and gives, and its runs."""

from __future__ import annotations

import ctypes
import math
import time
from typing import Any, Optional, Sequence

from .librknnrt import (
    AFFINE,
    COLLECT_PERF,
    CURRENT_INPUT_ATTR,
    CURRENT_OUTPUT_ATTR,
    DFP,
    FORMATS,
    IN_OUT_NUM,
    INPUT_ATTR,
    MAX_DIMS,
    MEM_SIZE,
    OUTPUT_ATTR,
    PERF_DETAIL,
    PERF_RUN,
    SDK_VERSION,
    TYPES,
    Context,
    InOutNum,
    Input,
    MemSize,
    Output,
    PerfDetail,
    PerfRun,
    Runtime,
    SdkVersion,
    TensorAttr,
    require_success,
)
from .wire import Bytes, Refusal

_MOST_TENSORS = 1024
_LONGEST_TABLE = 1 << 23
_IMAGE_AXES = 4
Shapes = Sequence[Optional[Sequence[int]]]


class NpuContext:
    """One context of the runtime; ``init_ms`` is what it took to make. Raises Refusal.

    Of a model that takes several shapes of its inputs, ``shapes`` are those to take, channels
    first, None for an input that has one.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: bytes,
        layers: bool = False,
        mask: int = 0,
        shapes: Shapes = (),
    ) -> None:
        self._runtime, self._handle = runtime, Context(0)
        begin = time.perf_counter()
        flags = COLLECT_PERF if layers else 0
        runtime.call("rknn_init", ctypes.byref(self._handle), model, len(model), flags, None)
        self.init_ms = 1000 * (time.perf_counter() - begin)
        self._buffers: list[Any] = []
        try:
            if mask:
                runtime.call("rknn_set_core_mask", self._handle, mask)
            counts = InOutNum()
            self._query(IN_OUT_NUM, counts)
            if max(counts.n_input, counts.n_output) > _MOST_TENSORS:
                raise Refusal("runtime-odd", "a model with more than 1024 inputs or outputs")
            self.inputs = [self._attr(INPUT_ATTR, index) for index in range(counts.n_input)]
            self.outputs = [self._attr(OUTPUT_ATTR, index) for index in range(counts.n_output)]
            if any(shapes):
                self._take(shapes)
        except Refusal:
            self.close()
            raise
        self._input_tensors = (Input * len(self.inputs))()
        self._taken = (Output * len(self.outputs))()

    def _take(self, shapes: Shapes) -> None:
        """Choose the shapes of the inputs, and read what inputs and outputs are then."""
        attrs = (TensorAttr * len(self.inputs))(*self.inputs)
        for attr, shape in zip(attrs, shapes):
            if shape and len(shape) != attr.n_dims:
                raise Refusal("input", f"{_text(attr.name)} has {attr.n_dims} axes")
            is_turned = attr.fmt == FORMATS.index("NHWC") and len(shape or ()) == _IMAGE_AXES
            for axis, length in enumerate(_turned(shape) if shape and is_turned else shape or ()):
                attr.dims[axis] = length
        self._runtime.call("rknn_set_input_shapes", self._handle, len(attrs), attrs)
        self.inputs = [self._attr(CURRENT_INPUT_ATTR, i) for i in range(len(self.inputs))]
        self.outputs = [self._attr(CURRENT_OUTPUT_ATTR, i) for i in range(len(self.outputs))]

    def _query(self, command: int, info: Any) -> None:
        size = ctypes.sizeof(info)
        self._runtime.call("rknn_query", self._handle, command, ctypes.byref(info), size)

    def _attr(self, command: int, index: int) -> TensorAttr:
        attr = TensorAttr(index=index)
        self._query(command, attr)
        if attr.n_dims > MAX_DIMS:
            raise Refusal("runtime-odd", f"a tensor with {attr.n_dims} axes")
        return attr

    def versions(self) -> tuple[str, str]:
        """Return those of the runtime and the driver."""
        versions = SdkVersion()
        self._query(SDK_VERSION, versions)
        return _text(versions.api_version), _text(versions.drv_version)

    def memory(self) -> dict[str, int] | None:
        """Return the bytes that the model takes, None where the runtime does not say."""
        sizes = MemSize()
        try:
            self._query(MEM_SIZE, sizes)
        except Refusal:
            return None
        return {
            "weight_bytes": sizes.total_weight_size,
            "internal_bytes": sizes.total_internal_size,
            "dma_bytes": sizes.total_dma_allocated_size,
        }

    def give(self, inputs: Sequence[tuple[str, str, Bytes]]) -> None:
        """Note the inputs of the next runs: type, format and bytes of each."""
        if len(inputs) != len(self.inputs):
            text = f"{len(inputs)} inputs were given, the model has {len(self.inputs)}"
            raise Refusal("input", text)
        self._buffers = []
        for index, (kind, form, content) in enumerate(inputs):
            if kind not in TYPES or form not in FORMATS:
                raise Refusal("input", f"an input of type {kind} in {form}")
            buffer = ctypes.create_string_buffer(bytes(content), len(content))
            self._buffers.append(buffer)
            tensor = self._input_tensors[index]
            tensor.index, tensor.size, tensor.pass_through = index, len(content), 0
            tensor.buf = ctypes.cast(buffer, ctypes.c_void_p)
            tensor.type, tensor.fmt = TYPES.index(kind), FORMATS.index(form)

    def step(self, want_float: bool) -> tuple[float, float, float]:
        """Set the inputs, run, get the outputs; return the ms of each. ``release`` has to follow.

        The calls stand side by side so that nothing else is timed.
        """
        runtime, handle, clock = self._runtime, self._handle, time.perf_counter
        set_inputs, run = runtime.raw("rknn_inputs_set"), runtime.raw("rknn_run")
        get_outputs = runtime.raw("rknn_outputs_get")
        for index, taken in enumerate(self._taken):
            taken.want_float, taken.is_prealloc, taken.index = want_float, 0, index
            taken.buf, taken.size = None, 0
        first = clock()
        set_status = set_inputs(handle, len(self._input_tensors), self._input_tensors)
        second = clock()
        require_success("rknn_inputs_set", set_status)
        third = clock()
        run_status = run(handle, None)
        fourth = clock()
        require_success("rknn_run", run_status)
        fifth = clock()
        get_status = get_outputs(handle, len(self._taken), self._taken, None)
        sixth = clock()
        require_success("rknn_outputs_get", get_status)
        return 1000 * (second - first), 1000 * (fourth - third), 1000 * (sixth - fifth)

    def release(self) -> None:
        """Give the outputs back to the runtime."""
        self._runtime.call("rknn_outputs_release", self._handle, len(self._taken), self._taken)

    def contents(self, want_float: bool) -> list[bytes]:
        """Return the bytes of the outputs. Raises Refusal for those of another size."""
        contents = []
        for attr, taken in zip(self.outputs, self._taken):
            size = 4 * attr.n_elems if want_float else attr.size
            if not taken.buf or taken.size != size:
                text = "output {} has {} bytes, not {}"
                raise Refusal("output-size", text.format(_text(attr.name), taken.size, size))
            contents.append(ctypes.string_at(taken.buf, size))
        return contents

    def npu_ms(self) -> float | None:
        """Return what the runtime says that the last run took, None where it does not."""
        run_time = PerfRun()
        try:
            self._query(PERF_RUN, run_time)
        except Refusal:
            return None
        return run_time.run_duration / 1000 if run_time.run_duration > 0 else None

    def layer_table(self) -> bytes:
        """Return the runtime's text on the layers of the last run."""
        detail = PerfDetail()
        self._query(PERF_DETAIL, detail)
        size = min(detail.data_len, _LONGEST_TABLE)
        return ctypes.string_at(detail.perf_data, size) if detail.perf_data else b""

    def close(self) -> None:
        """Give everything back to the runtime."""
        if self._handle.value:
            self._runtime.raw("rknn_destroy")(self._handle)
            self._handle = Context(0)


def described(attr: Any) -> dict[str, Any]:
    """Return an input or output as the other end reads it."""
    scale, zero_point = None, None
    if attr.qnt_type == AFFINE:
        scale, zero_point = attr.scale, attr.zp
    elif attr.qnt_type == DFP:
        scale, zero_point = 2.0**-attr.fl, 0
    if scale is not None and not 0 < scale < math.inf:
        raise Refusal("runtime-odd", f"{_text(attr.name)} has the scale {scale}")
    return {
        "name": _text(attr.name),
        "shape": [attr.dims[axis] for axis in range(attr.n_dims)],
        "format": _word(FORMATS, attr.fmt),
        "type": _word(TYPES, attr.type),
        "size": attr.size,
        "scale": scale,
        "zero_point": zero_point,
    }


def _turned(shape: Sequence[int]) -> list[int]:
    """Return a shape with its channels last."""
    return [shape[0], shape[2], shape[3], shape[1]]


def _word(words: Sequence[str], index: int) -> str:
    return words[index] if 0 <= index < len(words) else str(index)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
