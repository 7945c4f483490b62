"""Photographs for a detector, and what the float model finds on them as their labels.

Calibration and test show other photographs. A frame is a crop, every second one mirrored. Of those
for the test each one on which the float model finds something is taken, and one in four others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto

from rockpress.accuracy.metrics.detection import MeanAveragePrecision
from rockpress.accuracy.metrics.detections import Detections
from rockpress.core.session import Session

from ..quantizations.crops import cut, side_of
from ..quantizations.photos import Photo, scenes, things

SIZE = 320
SCORE = 0.2  # from which on what the float model finds is a label
_SEED = 320
_EMPTY = 4  # of so many frames without an object one is taken
_BARE = 2  # of five frames so many show a scene alone


def write_calibration(count: int, work: Path) -> Path:
    """Return the folder of ``count`` calibration frames, written where it is not there yet."""
    folder = work / f"calib-{count}"
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        for index, frame in zip(range(count), frames_of("calib", work), strict=False):
            frame.picture.save(part / f"{index:04d}.png")
        part.rename(folder)
    return folder


def write_labelled(model: ModelProto, objects: int, work: Path) -> Path:
    """Return a folder of images/ and labels/ with as many objects, by the float ``model``."""
    folder = work / f"test-{objects}"
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.part")
    for name in ("images", "labels"):
        (part / name).mkdir(parents=True, exist_ok=True)
    count = empty = total = 0
    session = Session(model)
    for frame in frames_of("test", work):
        lines = labels_of(detected(session, frame.picture))
        empty += not lines
        if not lines and empty % _EMPTY:
            continue
        frame.picture.save(part / "images" / f"{count:04d}.png")
        (part / "labels" / f"{count:04d}.txt").write_text("".join(lines))
        count, total = count + 1, total + len(lines)
        if total >= objects:
            break
    return part.rename(folder)


def objects_in(folder: Path) -> int:
    """Count the objects of a labelled folder."""
    return sum(len(file.read_text().splitlines()) for file in (folder / "labels").iterdir())


class Frame(NamedTuple):
    """A picture in RGB, and the name of the photograph that it is cut from."""

    picture: Any
    source: str


def frames_of(role: str, work: Path, backgrounds: Sequence[Photo] = ()) -> Iterator[Frame]:
    """Yield frames without end, the first ones always the same.

    They are cut from ``backgrounds``, or where there are none, from every scene.
    """
    rng = np.random.default_rng([_SEED, role == "test"])
    photos, objects = side_of(backgrounds or scenes(work), role), side_of(things(work), role)
    index = 0
    while True:
        thing = objects[index % len(objects)] if index % 5 >= _BARE else None
        photo = photos[int(rng.integers(len(photos)))]
        picture = cut(photo, thing, SIZE, rng)
        yield Frame(picture if index % 2 else picture.transpose(0), photo.name)  # mirrored
        index += 1


def detected(session: Session, picture: Any) -> Detections:
    """Return what the float model finds on a picture."""
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    (outputs,) = session.run({session.input_names[0]: pixels})
    metric = MeanAveragePrecision("map50", score=SCORE, input_size=(SIZE, SIZE))
    return metric.predict([outputs])[0]


def labels_of(detections: Detections) -> list[str]:
    """Return what is found as YOLO text: class, middle and sides, in shares of the frame."""
    corners = np.clip(detections.corners, 0, SIZE) / SIZE
    middles, sides = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    rows = zip(detections.classes, middles, sides, strict=True)
    return [f"{kind} {x:.5f} {y:.5f} {w:.5f} {h:.5f}\n" for kind, (x, y), (w, h) in rows]
