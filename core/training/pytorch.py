"""PyTorch: whether it is there, and where it may write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ..errors import NOT_INSTALLED, PackageError

_COMPILED = "TORCHINDUCTOR_CACHE_DIR"


def has_torch() -> bool:
    """Return whether PyTorch is installed; does not import it."""
    return find_spec("torch") is not None


def require_torch(asked: str, instead: str) -> None:
    """Raise PackageError when PyTorch is not installed.

    ``asked`` is the option that needs it, ``instead`` says what to do without.
    """
    if not has_torch():
        raise PackageError(
            f"{asked} needs PyTorch, which {NOT_INSTALLED} here",
            "pip install 'torch<=2.4.0', as rknn-toolkit2 asks for (a build for the CPU is enough; "
            f"docs/quantization.md), or {instead}",
        )


@contextmanager
def compiled_in(folder: Path) -> Iterator[None]:
    """Let PyTorch's folder for compiled code be there: it is made as soon as an optimizer is."""
    before = os.environ.get(_COMPILED)
    os.environ.setdefault(_COMPILED, str(folder / "compiled"))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_COMPILED, None)
