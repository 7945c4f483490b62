"""The samples on disk, in the one form that all tools read: a .npy each, and a list of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .crops import Sample, crops
from .lines import lines
from .methods import CLS, LITE0, REC, YOLO

_LIST, _ABOUT, _ALL = "dataset.txt", "about.json", "all.npy"


@dataclass(frozen=True)
class SampleSet:
    """``count`` samples of a model in a folder, each (1, C, H, W) float32."""

    folder: Path
    count: int

    @property
    def listing(self) -> Path:
        """Return the path of the toolkit's dataset.txt, which rockpress reads as well."""
        return self.folder / _LIST

    @property
    def together(self) -> Path:
        """Return the path of all samples in one .npy: (count, 1, C, H, W)."""
        return self.folder / _ALL

    @property
    def sources(self) -> list[str]:
        """Return what each sample was made from."""
        return [str(entry["source"]) for entry in self._about()]

    @property
    def texts(self) -> list[str]:
        """Return what each sample says; empty for crops."""
        return [str(entry["text"]) for entry in self._about()]

    def _about(self) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = json.loads((self.folder / _ABOUT).read_text())
        return entries


def sample_set(model: str, role: str, count: int, work: Path) -> SampleSet:
    """Return the samples of a model for calib or test, made below ``work`` if not there yet."""
    folder = sample_folder(model, role, count, work)
    if folder.is_dir():
        return SampleSet(folder, count)
    return kept_samples(folder, count, _makers(work)[model](role, count))


def sample_folder(model: str, role: str, count: int, work: Path) -> Path:
    """Return where the samples of a model lie."""
    return work / "samples" / f"{model}-{role}-{count}"


def kept_samples(folder: Path, count: int, samples: Iterator[Sample]) -> SampleSet:
    """Return the samples in a folder, written there when it is not there yet."""
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(samples, part)
        part.rename(folder)
    return SampleSet(folder, count)


def _makers(work: Path) -> dict[str, Callable[[str, int], Iterator[Sample]]]:
    return {
        LITE0: partial(crops, work=work),
        YOLO: partial(crops, work=work, size=320, mean=0.0, std=255.0),
        REC: partial(lines, height=48, width=320),
        CLS: partial(lines, height=48, width=192, is_turned=True),
    }


def _write(samples: Iterator[Sample], folder: Path) -> None:
    about, names, arrays = [], [], []
    for index, sample in enumerate(samples):
        names.append(f"{index:04}.npy")
        arrays.append(sample.values[np.newaxis])
        np.save(folder / names[-1], arrays[-1])
        about.append({"source": sample.source, "text": sample.text})
    np.save(folder / _ALL, np.stack(arrays))
    (folder / _LIST).write_text("\n".join(names) + "\n")
    (folder / _ABOUT).write_text(json.dumps(about))
