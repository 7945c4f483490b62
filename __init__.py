"""Compress and quantize ONNX models for Rockchip NPUs.

The public functions are imported on first use, so ``import rockpress`` stays cheap:

>>> import rockpress
>>> rockpress.__version__.count(".")
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

_PUBLIC: dict[str, str] = {}
__all__ = ["__version__"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
