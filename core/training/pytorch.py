"""PyTorch: whether it is there, and where it may write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ..errors import NOT_INSTALLED, PackageError
from ..trim_heap import large_blocks_kept

_COMPILED = "TORCHINDUCTOR_CACHE_DIR"
_WAITING = "OMP_WAIT_POLICY"


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
def training_in(folder: Path) -> Iterator[None]:
    """Let PyTorch train: with a folder for compiled code, threads that sleep, memory that is kept.

    It makes that folder as soon as an optimizer is made. OpenMP's threads wait by spinning unless
    they are to be passive, which is read when PyTorch is first imported: where another program had
    one of two cores, a step of EfficientNet-Lite0 took 7.4 s that takes 1.6 to 2.1 s so.
    """
    settings = {_COMPILED: str(folder / "compiled"), _WAITING: "PASSIVE"}
    absent = [name for name in settings if name not in os.environ]
    os.environ.update({name: settings[name] for name in absent})
    try:
        with large_blocks_kept():
            yield
    finally:
        for name in absent:
            os.environ.pop(name, None)
