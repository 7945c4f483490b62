"""The rows of each model: who makes the number format, with what, and where it is measured."""

from __future__ import annotations

from ..quantizations.methods import METHODS as QUANTIZATIONS
from ..quantizations.methods import ORT, Method

CHIP, W4A16_CHIP = "rk3588", "rk3576"
FLOAT, INT8 = "float", "rockpress-int8"
NORMAL, MMSE, ORT_MINMAX, NNCF = "toolkit-normal", "toolkit-mmse", "ort-minmax", "nncf"
MIXED, PRUNED, W4A16 = "rockpress-mixed-8", "rockpress-pruned", "rockpress-w4a16"
PRUNE = "cycles=-20%"
_SEARCH = ("--search-time", "off", "--search-choices", "8")  # the same on a loaded machine
_QUANTIZATIONS = {method.name: method for method in QUANTIZATIONS}


def _rockpress(name: str, places: tuple[str, ...], *arguments: str) -> Method:
    return Method(name, "rockpress", places, (*arguments, "--family", "off"))


# In the order in which they run; what is not made anew is that of benchmarks/quantization.py.
METHODS: tuple[Method, ...] = (
    Method(FLOAT, "toolkit", (CHIP,)),  # in float16, for its time and size; its metric is float32's
    _QUANTIZATIONS[NORMAL],
    _QUANTIZATIONS[ORT_MINMAX],
    _QUANTIZATIONS[NNCF],
    _rockpress(INT8, (CHIP, ORT), "--mixed", "off"),
    _QUANTIZATIONS[MMSE],
    _rockpress(MIXED, (CHIP,), "--mixed", "latency=+8%", *_SEARCH),
    _rockpress(PRUNED, (CHIP,), "--mixed", "off"),
    _rockpress(W4A16, (W4A16_CHIP,), "--scheme", "w4a16", "--target", W4A16_CHIP, *_SEARCH),
)
PEERS = {NORMAL: CHIP, MMSE: CHIP, ORT_MINMAX: ORT, NNCF: ORT}  # where each is compared
