"""The names of the methods and of the number formats: those of the files in their folders.

They are part of the help, so nothing else of quantize is loaded for them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

AUTO = "auto"
METHOD_FOLDERS = [Path(__file__).parents[1] / "methods"]
SCHEME_FOLDERS = [Path(__file__).parents[1] / "schemes"]
# what other tools and people call them
SCHEMES_ELSEWHERE = {
    **dict.fromkeys(("int8", "i8", "8bit", "w8", "uint8", "asymmetric_quantized-8"), "w8a8"),
    **dict.fromkeys(("fp16", "f16", "half", "float", "fp32", "float32", "none", "off"), "float16"),
    **dict.fromkeys(("int16", "i16", "a16"), "w8a16"),
    **dict.fromkeys(("int4", "i4", "4bit", "w4"), "w4a16"),
}
METHODS_ELSEWHERE = {
    **dict.fromkeys(("kl_divergence", "entropy"), "kl"),
    **dict.fromkeys(("normal", "max"), "min-max"),
    "mmse": "mse",
}
_ORDER = re.compile(r"^ORDER = (\d+)$", re.MULTILINE)
_BITS = re.compile(r"w(\d+)a(\d+)")


@cache
def method_names() -> tuple[str, ...]:
    """Return auto and the name of every method, in the order of their files' ``ORDER``."""
    orders = {}
    for file in _modules(METHOD_FOLDERS):
        match = _ORDER.search(file.read_text(encoding="utf-8"))
        assert match, f"{file} has no line ORDER = number"
        orders[file.stem.replace("_", "-")] = int(match[1])
    return (AUTO, *sorted(orders, key=lambda name: (orders[name], name)))


@cache
def scheme_names() -> tuple[str, ...]:
    """Return the names of the number formats: most bits of weights first, float16 last.

    >>> scheme_names()
    ('w8a8', 'w8a16', 'w4a16', 'float16')
    """
    return tuple(sorted((file.stem for file in _modules(SCHEME_FOLDERS)), key=_most_bits_first))


def bits_of(scheme: str) -> tuple[int, int] | None:
    """Return the bits of weights and activations; None for a name that is not of this form.

    >>> bits_of("w4a16"), bits_of("float16")
    ((4, 16), None)
    """
    match = _BITS.fullmatch(scheme)
    return (int(match[1]), int(match[2])) if match else None


def _modules(folders: list[Path]) -> list[Path]:
    return [file for folder in folders for file in folder.glob("[!_]*.py")]


def _most_bits_first(name: str) -> tuple[bool, int, int, str]:
    weights, activations = bits_of(name) or (0, 0)
    return not weights, -weights, activations, name
