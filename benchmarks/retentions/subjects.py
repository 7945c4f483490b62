"""The models of the table: what each one is fed, and how its outputs are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..quantizations.crops import Sample
from ..quantizations.lines import lines
from ..quantizations.methods import CLS, LITE0, REC, YOLO
from ..quantizations.samples import SampleSet, kept_samples, sample_folder
from .cutouts import cutouts
from .faces import faces
from .frames import frames
from .pages import pages
from .photographs import photographs
from .scoring import (
    Score,
    boxes_like_float,
    classes_like_float,
    right_characters,
    right_classes,
    right_masks,
    right_neighbours,
    right_text_boxes,
)
from .speech import speech

Maker = Callable[[str, int, Path], Iterator[Sample]]


@dataclass(frozen=True)
class Subject:
    """A model: ``has_labels`` tells a true metric from agreement with the float model.

    ``calib`` and ``test`` are numbers of samples; ``has_mmse`` is for those few that the toolkit's
    slowest quantizer is measured on; ``goal`` is the share that int8 is meant to keep.
    """

    name: str
    task: str
    metric: str
    has_labels: bool
    make: Maker
    score: Score
    calib: int
    test: int
    has_mmse: bool = False
    goal: float = 0.985

    def samples(self, role: str, count: int, work: Path) -> SampleSet:
        """Return the samples for calib or test, made below ``work`` if not there yet."""
        folder = sample_folder(self.name, role, count, work)
        return kept_samples(folder, count, self.make(role, count, work))


def _faces(role: str, count: int, work: Path, *, size: int) -> Iterator[Sample]:
    return faces(role, count, work, size)


def _pages(role: str, count: int, work: Path, *, size: int, is_turned: bool) -> Iterator[Sample]:
    return pages(role, count, size, is_turned=is_turned)


def _photographs(role: str, count: int, work: Path, *, size: int) -> Iterator[Sample]:
    return photographs(role, count, work, size)


def _cutouts(role: str, count: int, work: Path) -> Iterator[Sample]:
    return cutouts(role, count, work, 320)


def _lines(role: str, count: int, work: Path) -> Iterator[Sample]:
    return lines(role, count, 48, 320)


def _turned_lines(role: str, count: int, work: Path) -> Iterator[Sample]:
    """Yield lines for the direction classifier, whose label is 1 where they are upside down."""
    for index, sample in enumerate(lines(role, count, 48, 192, is_turned=True)):
        yield replace(sample, text=str(index % 2))


def _face_or_not(name: str, size: int, output: int, *, has_mmse: bool = False) -> Subject:
    make, score = partial(_faces, size=size), partial(right_classes, output=output)
    return Subject(name, "face or not", "top-1", True, make, score, 60, 280, has_mmse)


def _text_detector(name: str, test: int) -> Subject:
    make = partial(_pages, size=320, is_turned=False)
    score = right_text_boxes
    return Subject(name, "text detection", "F1 of boxes", True, make, score, 40, test, goal=0.98)


def _recogniser(name: str, test: int) -> Subject:
    score = right_characters
    return Subject(name, "text recognition", "characters", True, _lines, score, 40, test, goal=0.99)


def _classifier(name: str, size: int, test: int) -> Subject:
    make = partial(_photographs, size=size)
    return Subject(name, "1,000 classes", "agreement", False, make, classes_like_float, 100, test)


# In the order in which they are measured: the small ones first.
SUBJECTS: tuple[Subject, ...] = (
    _face_or_not("mtcnn-pnet-12", 12, 1, has_mmse=True),
    _face_or_not("mtcnn-rnet", 24, 1, has_mmse=True),
    _face_or_not("mtcnn-onet", 48, 2, has_mmse=True),
    Subject(
        CLS,
        "text direction",
        "top-1",
        True,
        _turned_lines,
        right_classes,
        100,
        500,
        has_mmse=True,
    ),
    Subject(
        "orientation",
        "page orientation",
        "top-1",
        True,
        partial(_pages, size=224, is_turned=True),
        right_classes,
        40,
        200,
    ),
    Subject(
        "speech-embedding",
        "vectors of speech",
        "same pair nearest",
        True,
        speech,
        right_neighbours,
        200,
        1000,
    ),
    _classifier(LITE0, 224, 1000),
    Subject(
        YOLO,
        "body parts, YOLOv8n at its raw heads",
        "agreement of boxes",
        False,
        frames,
        boxes_like_float,
        60,
        260,
        goal=0.98,
    ),
    _text_detector("ppocr4-det", 40),
    _text_detector("ppocr6-det", 40),
    _classifier("efficientnet-lite1", 240, 500),
    _recogniser(REC, 60),
    _recogniser("ppocr6-rec", 200),
    _classifier("efficientnet-lite2", 260, 500),
    Subject(
        "u2netp",
        "foreground",
        "IoU of masks",
        True,
        _cutouts,
        right_masks,
        20,
        60,
    ),
)
