"""The photographs that classifiers are judged on: out of Qt's resources, and apart in two sides."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.detectors import frames as detector_frames
from benchmarks.detectors.frames import frames_of
from benchmarks.quantizations.gcompris import gcompris_photographs, resources
from benchmarks.quantizations.photos import Photo
from benchmarks.retentions import photographs as module
from benchmarks.retentions.photographs import photographs

PACKED = 1  # a flag of the format


def qt_resource(folder: str, files: Mapping[str, bytes], flags: Mapping[str, int]) -> bytes:
    """Return a resource of version 3 with one folder below the root."""
    names, data = b"", b""
    nodes = [struct.pack(">IHIIQ", 0, 2, 1, 1, 0)]
    starts = []
    for name in (folder, *files):
        starts.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    nodes.append(struct.pack(">IHIIQ", starts[0], 2, len(files), 2, 0))
    for start, (name, content) in zip(starts[1:], files.items(), strict=True):
        nodes.append(struct.pack(">IHHHIQ", start, flags.get(name, 0), 0, 0, len(data), 1))
        data += struct.pack(">I", len(content)) + content
    tree = b"".join(nodes)
    head = 24  # magic, version, the three offsets, flags of the whole
    offsets = head, head + len(tree), head + len(tree) + len(data)
    return struct.pack(">4s5I", b"qres", 3, *offsets, 0) + tree + data + names


def webp(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(file, "webp")
    return file.getvalue()


def png(path: Path) -> Path:
    Image.new("RGBA", (120, 100), (10, 200, 30, 255)).save(path, "png")
    return path


def test_a_resource_is_read_by_path() -> None:
    files = {"a.webp": b"one", "packed.svg": b"x", "ä.webp": b"three"}
    rcc = qt_resource("folder", files, {"packed.svg": PACKED})
    assert list(resources(rcc)) == [("/folder/a.webp", b"one"), ("/folder/ä.webp", b"three")]


@pytest.mark.parametrize("start", [b"qres\x00\x00\x00\x01", b"RIFF\x00\x00\x00\x03"])
def test_another_format_is_refused(start: bytes) -> None:
    with pytest.raises(ValueError, match="not a resource"):
        list(resources(start + bytes(40)))


def test_only_photographs_that_are_large_enough_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "photos/gcompris-qt-data/usr/share/gcompris-qt/rcc"
    folder.mkdir(parents=True)
    activities = ("categorization", "erase", "explore_farm_animals", "explore_monuments")
    for activity in (*activities, "explore_world_animals", "explore_world_music"):
        (folder / f"{activity}.rcc").write_bytes(qt_resource("other", {"a.webp": webp(200)}, {}))
    with pytest.raises(ValueError, match="no photographs"):
        gcompris_photographs(tmp_path)
    files = {"b.webp": webp(200), "a.webp": webp(150), "small.webp": webp(149), "c.svg": b"<svg/>"}
    (folder / "erase.rcc").write_bytes(qt_resource("resource", files, {}))
    photos = gcompris_photographs(tmp_path)
    assert [photo.name for photo in photos] == ["gcompris/erase-a.webp", "gcompris/erase-b.webp"]
    assert photos[1].scene().size == (200, 200)


def test_no_photograph_is_on_both_sides_and_all_come_equally_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [Photo(f"photo {number}", tmp_path / f"{number}.webp") for number in range(9)]
    for photo in photos:
        photo.path.write_bytes(webp(160))
    monkeypatch.setattr(module, "scenes", lambda _: photos[:4])
    monkeypatch.setattr(module, "gcompris_photographs", lambda _: photos[4:])
    calibration = list(photographs("calib", 6, tmp_path, 32))
    test = list(photographs("test", 12, tmp_path, 32))
    sides = [[sample.source for sample in side] for side in (calibration, test)]
    assert set(sides[0]).isdisjoint(sides[1]) and len(set(sides[0]) | set(sides[1])) == 9
    assert all(side.count(name) == 2 for side in sides for name in side)
    assert test[0].values.shape == (3, 32, 32) and test[0].values.dtype == np.float32
    np.testing.assert_allclose(test[0].values[0].mean(), (200 - 127) / 128, atol=0.05)
    again = list(photographs("test", 3, tmp_path, 32))
    np.testing.assert_array_equal(again[2].values, test[2].values)


def test_frames_are_cut_from_the_photographs_of_their_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [Photo(f"photo {number}", tmp_path / f"{number}.webp") for number in range(9)]
    for photo in photos:
        photo.path.write_bytes(webp(160))
    thing = Photo("thing", png(tmp_path / "thing.png"))
    monkeypatch.setattr(detector_frames, "scenes", lambda _: photos[:3])
    monkeypatch.setattr(detector_frames, "things", lambda _: [thing, thing])
    sides = [
        {frame.source for frame in islice(frames_of(role, tmp_path, photos), 60)}
        for role in ("calib", "test")
    ]
    assert [len(side) for side in sides] == [3, 6] and sides[0].isdisjoint(sides[1])
    scenes = {frame.source for frame in islice(frames_of("test", tmp_path), 60)}
    assert scenes <= {photo.name for photo in photos[:3]} and len(scenes) == 2
    again = [np.asarray(frame.picture) for frame in islice(frames_of("test", tmp_path), 8)]
    first = [np.asarray(frame.picture) for frame in islice(frames_of("test", tmp_path), 3)]
    np.testing.assert_array_equal(again[:3], first)
    assert any((picture[..., 1] == 200).any() for picture in again)  # the thing
