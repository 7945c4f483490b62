"""What is compared: the models, and the rows of the table with the arguments that make them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LITE0, CLS, REC = "efficientnet-lite0", "ppocr-cls", "ppocr4-rec"
YOLO = "nudenet-320n"  # YOLOv8n, ended at its raw heads
NAMES = (LITE0, REC, CLS, YOLO)
MIXED = (LITE0, REC, YOLO)  # what mixed precision is measured on
ORT = "onnxruntime"  # as a place: the QDQ model itself, with optimisations off
MEMORY_COUNTS = (100, 500)  # calibration images
MEMORY_METHODS = ("rockpress", "ort-minmax", "nncf")


@dataclass(frozen=True)
class Method:
    """One row: who quantizes, with what, and where the result is measured.

    ``arguments`` are those of ``rockpress quantize``, or of the toolkit's ``config`` as NAME=VALUE;
    of a toolkit row without any the model stays in float16. ``models`` empty means all of them.
    """

    name: str
    tool: str
    runtimes: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def is_rockpress(self) -> bool:
        """Return whether the others are compared with this one."""
        return self.tool == "rockpress"

    @property
    def is_int8(self) -> bool:
        """Return whether nothing is in 16 bits: what mixed precision is compared with."""
        return self.is_rockpress and self.name in ("rockpress", "rockpress-int8")

    @property
    def is_float(self) -> bool:
        """Return whether nothing is quantized, so that there is nothing to compare."""
        return self.tool == "float" or (self.tool == "toolkit" and not self.arguments)


def _toolkit(name: str, *arguments: str) -> Method:
    return Method(f"toolkit-{name}", "toolkit", ("rk3588",), arguments)


# In the order in which they run: what may take an hour comes last.
METHODS = (
    Method("float", "float", (ORT,)),
    _toolkit("float16"),
    _toolkit("normal", "quantized_algorithm=normal"),
    _toolkit("kl_divergence", "quantized_algorithm=kl_divergence"),
    Method("ort-minmax", "ort", (ORT,)),
    Method("nncf", "nncf", (ORT,)),
    # A further row of rockpress needs one line here.
    Method("rockpress", "rockpress", ("rk3588", ORT)),
    Method("rockpress-int8", "rockpress", ("rk3588",), ("--mixed", "off"), (REC, YOLO)),
    Method("rockpress-mixed-8", "rockpress", ("rk3588",), ("--mixed", "latency=+8%"), MIXED),
    Method("rockpress-mixed-25", "rockpress", ("rk3588",), ("--mixed", "latency=+25%"), MIXED),
    Method(
        "toolkit-w4a16",
        "toolkit",
        ("rk3576",),
        ("quantized_algorithm=normal", "quantized_dtype=w4a16"),
        (LITE0,),
    ),
    Method(
        "rockpress-w4a16",
        "rockpress",
        ("rk3576",),
        ("--scheme", "w4a16", "--target", "rk3576"),
        (LITE0,),
    ),
    Method(
        "rockpress-w4a16-alone",
        "rockpress",
        ("rk3576",),
        ("--scheme", "w4a16", "--target", "rk3576", "--mixed", "off"),
        (LITE0,),
    ),
    _toolkit("mmse", "quantized_algorithm=mmse"),
)
PEERS = ("ort", "nncf")


@dataclass(frozen=True)
class Cell:
    """One measurement: a model, quantized by a method from ``calib`` samples, run at a place."""

    model: str
    method: Method
    runtime: str
    calib: int
    test: int

    @property
    def key(self) -> str:
        """Return the name of the cell in the file of results."""
        counts = f"{self.calib}+{self.test}"
        return "/".join((self.model, self.method.name, self.runtime, counts))


def cells_of(models: list[str], methods: list[str], calib: int, test: int) -> Iterator[Cell]:
    """Return every cell of these models and methods, in the order in which they run."""
    for method in METHODS:
        for model in reversed(NAMES):  # the small one first
            is_asked = model in models and method.name in methods
            if is_asked and (not method.models or model in method.models):
                for runtime in method.runtimes:
                    yield Cell(model, method, runtime, calib, test)
