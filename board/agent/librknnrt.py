"""The runtime of the NPU as the C interface has it: its structures, and calls that say why not.

The names are those of rknn_api.h; the layouts of the structures are held by a test.
"""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any

from .wire import Refusal

MAX_DIMS, NAME_LENGTH = 16, 256
COLLECT_PERF = 0x8
IN_OUT_NUM, INPUT_ATTR, OUTPUT_ATTR = 0, 1, 2
PERF_DETAIL, PERF_RUN, SDK_VERSION, MEM_SIZE = 3, 4, 5, 6
CURRENT_INPUT_ATTR, CURRENT_OUTPUT_ATTR = 14, 15
TYPES = "float32 float16 int8 uint8 int16 uint16 int32 uint32 int64 bool int4 bfloat16".split()
FORMATS = "NCHW NHWC NC1HWC2 UNDEFINED".split()
DFP, AFFINE = 1, 2
STATUSES = {
    -1: "FAIL",
    -2: "TIMEOUT",
    -3: "DEVICE_UNAVAILABLE",
    -4: "MALLOC_FAIL",
    -5: "PARAM_INVALID",
    -6: "MODEL_INVALID",
    -7: "CTX_INVALID",
    -8: "INPUT_INVALID",
    -9: "OUTPUT_INVALID",
    -10: "DEVICE_UNMATCH",
    -11: "INCOMPATILE_PRE_COMPILE_MODEL",
    -12: "INCOMPATILE_OPTIMIZATION_LEVEL_VERSION",
    -13: "TARGET_PLATFORM_UNMATCH",
}
_FOLDERS = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/arm-linux-gnueabihf",
    "/usr/local/lib",
    "/lib",
    "/oem/usr/lib",
    "/vendor/lib64",
    "/vendor/lib",
)
_VERSION = re.compile(rb"librknnrt version: (\d+\.\d+\.\d+\w*)")
_LARGEST = 1 << 26  # of the library's file


class InOutNum(ctypes.Structure):
    """How many inputs and outputs there are."""

    _fields_ = [("n_input", ctypes.c_uint32), ("n_output", ctypes.c_uint32)]


class TensorAttr(ctypes.Structure):
    """An input or output."""

    _fields_ = [
        ("index", ctypes.c_uint32),
        ("n_dims", ctypes.c_uint32),
        ("dims", ctypes.c_uint32 * MAX_DIMS),
        ("name", ctypes.c_char * NAME_LENGTH),
        ("n_elems", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("fmt", ctypes.c_int),
        ("type", ctypes.c_int),
        ("qnt_type", ctypes.c_int),
        ("fl", ctypes.c_int8),
        ("zp", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("w_stride", ctypes.c_uint32),
        ("size_with_stride", ctypes.c_uint32),
        ("pass_through", ctypes.c_uint8),
        ("h_stride", ctypes.c_uint32),
    ]


class PerfDetail(ctypes.Structure):
    """The table of layers, as text."""

    _fields_ = [("perf_data", ctypes.c_void_p), ("data_len", ctypes.c_uint64)]


class PerfRun(ctypes.Structure):
    """What the last run took, in microseconds."""

    _fields_ = [("run_duration", ctypes.c_int64)]


class SdkVersion(ctypes.Structure):
    """The versions of the runtime and the driver."""

    _fields_ = [("api_version", ctypes.c_char * 256), ("drv_version", ctypes.c_char * 256)]


class MemSize(ctypes.Structure):
    """The bytes that a model takes."""

    _fields_ = [
        ("total_weight_size", ctypes.c_uint32),
        ("total_internal_size", ctypes.c_uint32),
        ("total_dma_allocated_size", ctypes.c_uint64),
        ("total_sram_size", ctypes.c_uint32),
        ("free_sram_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 10),
    ]


class Input(ctypes.Structure):
    """An input as the application gives it."""

    _fields_ = [
        ("index", ctypes.c_uint32),
        ("buf", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("pass_through", ctypes.c_uint8),
        ("type", ctypes.c_int),
        ("fmt", ctypes.c_int),
    ]


class Output(ctypes.Structure):
    """An output as the application gets it."""

    _fields_ = [
        ("want_float", ctypes.c_uint8),
        ("is_prealloc", ctypes.c_uint8),
        ("index", ctypes.c_uint32),
        ("buf", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
    ]


# as rknn_api.h has it: 32 bits on 32-bit ARM, 64 elsewhere
Context = ctypes.c_uint32 if ctypes.sizeof(ctypes.c_void_p) == 4 else ctypes.c_uint64
_ARGUMENTS: Any = {
    "rknn_init": [
        ctypes.POINTER(Context),
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.c_void_p,
    ],
    "rknn_destroy": [Context],
    "rknn_query": [Context, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32],
    "rknn_inputs_set": [Context, ctypes.c_uint32, ctypes.POINTER(Input)],
    "rknn_set_core_mask": [Context, ctypes.c_int],
    "rknn_run": [Context, ctypes.c_void_p],
    "rknn_outputs_get": [Context, ctypes.c_uint32, ctypes.POINTER(Output), ctypes.c_void_p],
    "rknn_outputs_release": [Context, ctypes.c_uint32, ctypes.POINTER(Output)],
}


# what runtimes before 1.5 lack
_LATER: Any = {
    "rknn_set_input_shapes": [Context, ctypes.c_uint32, ctypes.POINTER(TensorAttr)],
}


class Runtime:
    """The library, found and opened. Raises Refusal where there is none that fits."""

    def __init__(self) -> None:
        path = library_path()
        try:
            self._library = ctypes.CDLL(path or "librknnrt.so")
            self._calls = {name: self._function(name, _ARGUMENTS) for name in _ARGUMENTS}
            there = [name for name in _LATER if hasattr(self._library, name)]
            self._calls.update((name, self._function(name, _LATER)) for name in there)
        except OSError as error:
            code = "runtime-broken" if path else "runtime-missing"
            raise Refusal(code, str(error)) from None
        except AttributeError as error:
            raise Refusal("runtime-broken", f"{path}: {error}") from None

    def _function(self, name: str, arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.argtypes, function.restype = arguments[name], ctypes.c_int
        return function

    def raw(self, name: str) -> Any:
        """Return a function of the library as it is, to be timed."""
        return self._calls[name]

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function. Raises Refusal with its status when not 0, or where it is not there."""
        if name not in self._calls:
            raise Refusal("runtime-error", f"this runtime has no {name}", step=name)
        require_success(name, self._calls[name](*arguments))


def require_success(name: str, status: int) -> None:
    """Raise Refusal unless a call of that name returned 0."""
    if status != 0:
        word = STATUSES.get(status, "")
        text = "{} returned {}{}".format(name, status, word and f" (RKNN_ERR_{word})")
        raise Refusal("runtime-error", text, step=name, status=status)


def library_path() -> str | None:
    """Return where the library is, None when it is in none of the usual folders."""
    named = os.environ.get("ROCKPRESS_LIBRKNNRT")
    if named:
        return named
    paths: list[str] = [os.path.join(folder, "librknnrt.so") for folder in _FOLDERS]
    return next((path for path in paths if os.path.isfile(path)), None)


def library_version(path: str) -> str | None:
    """Return the version that a library's file says it has."""
    try:
        with open(path, "rb") as file:
            match = _VERSION.search(file.read(_LARGEST))
    except OSError:
        return None
    return match.group(1).decode("ascii") if match else None
