"""Masks in files of their own, one a sample, read when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..images.decode import read_mask


@dataclass(frozen=True)
class MaskFiles(Sequence[Any]):
    """Masks (H, W) of class indices in PNG files; 255 is no class."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Read the mask of one sample. Raises SamplesError when the file cannot be read."""
        return read_mask(self.paths[index])
