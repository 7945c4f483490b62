"""What a model is calibrated with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onnx import ModelProto

from ...core.progress import SILENT, Progress
from ...core.types import Feeds


class SampleSet(Protocol):
    """Samples that can be counted, and read as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Feeds]: ...


@dataclass(frozen=True)
class Calibration:
    """A float ``model``, the samples to gather its statistics on, and what for.

    ``methods`` are the names of those that will be applied. With ``symmetric`` all zero points are
    0. ``folder`` is for samples that are read again.
    """

    model: ModelProto
    samples: SampleSet
    methods: tuple[str, ...]
    folder: Path
    symmetric: bool = False
    seed: int = 0
    progress: Progress = SILENT
