from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rockpress.calibration_data.samples import open_samples
from rockpress.calibration_data.sources import array_files
from rockpress.calibration_data.sources.open_source import open_source
from rockpress.calibration_data.sources.source_types import ImageSource, TensorSource
from samples import refused


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    """The start of a .npy file with any header text."""
    body = text.encode()
    width = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(body).to_bytes(width, "little") + body


def described(shape: str, kind: str = "|u1") -> bytes:
    return header(f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}\n")


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3), (5, 4, 6, 4)])
def test_uint8_arrays_are_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    source = open_source(tmp_path / "a.npy")
    assert isinstance(source, ImageSource)
    assert len(source) == 5 and source.labels is None
    np.testing.assert_array_equal(source.image(3).reshape(array[3].shape), array[3])
    assert source.image(3).ndim == 3


def test_arrays_that_are_no_pixels_are_tensors_and_a_npy_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(24, dtype=np.float32).reshape(4, 6))
    source = open_source(tmp_path / "a.npy")
    assert isinstance(source, TensorSource)
    np.testing.assert_array_equal(source.tensors(1)[""], np.arange(6, 12))
    mapped = array_files.read_npy(tmp_path / "a.npy")
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable


def test_npz_with_images_and_labels(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 5), dtype=np.uint8)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", images=images, labels=np.array([2, 0, 1], dtype=np.uint16))
        source = open_source(tmp_path / "a.npz")
        assert isinstance(source, ImageSource)
        assert source.labels is not None and source.labels.classes().dtype == np.int64
        assert source.labels.classes().tolist() == [2, 0, 1]


def test_npz_with_one_array_for_each_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.ones((3, 2)), right=np.zeros((3, 5), dtype=np.int64))
    source = open_source(tmp_path / "a.npz")
    assert isinstance(source, TensorSource)
    tensors = source.tensors(2)
    assert {name: array.shape for name, array in tensors.items()} == {"left": (2,), "right": (5,)}
    assert source.name(2) == f"{tmp_path / 'a.npz'}[2]"


def test_fortran_order_and_foreign_byte_order_are_read_right(tmp_path: Path) -> None:
    values = np.arange(24, dtype=">f4").reshape(2, 3, 4, order="F")
    np.save(tmp_path / "a.npy", np.asfortranarray(values))
    np.savez(tmp_path / "b.npz", x=np.asfortranarray(values))
    for path, name in ((tmp_path / "a.npy", ""), (tmp_path / "b.npz", "x")):
        source = open_source(path)
        assert isinstance(source, TensorSource)
        np.testing.assert_array_equal(source.tensors(1)[name], values[1])


def test_channels_first_are_images_too_and_other_bytes_tensors(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 9), np.uint8)
    np.savez(tmp_path / "a.npz", x=pixels)
    source = open_source(tmp_path / "a.npz")
    assert isinstance(source, ImageSource) and source.size(1) == (8, 9)
    np.testing.assert_array_equal(source.image(1), pixels[1].transpose(1, 2, 0))

    rows = np.arange(12, dtype=np.uint8).reshape(2, 6)
    np.savez(tmp_path / "b.npz", x=rows)
    (fed,) = open_samples(tmp_path / "b.npz", {"x": (1, 6)}, count=1).feeds(0).values()
    assert fed.dtype == np.float32 and fed.tolist() in rows[:, np.newaxis].tolist()
    np.savez(tmp_path / "c.npz", x=pixels, y=np.ones((2, 4), np.float32))
    inputs = {"x": (1, 3, 8, 9), "y": (1, 4)}
    both = open_samples(tmp_path / "c.npz", inputs).feeds(1)
    np.testing.assert_array_equal(both["x"][0], pixels[1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 5, 8, 8), np.uint8)}, "shape (2, 5, 8, 8) is not a set of images"),
        ({"images": np.zeros((8, 8, 3), np.uint8)}, "shape (8, 8, 3) is not a set of images"),
        ({"images": np.zeros((8, 8), np.uint8)}, "shape (8, 8) is not a set of images"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "shape (0, 8, 8) is empty"),
        ({"images": np.float32(3)}, "an array is a single number"),
        ({"a": np.ones((2, 2)), "b": np.ones((3, 2))}, "numbers of samples: a 2, b 3"),
        ({"labels": np.array([1, 2])}, "holds no samples"),
        ({}, "holds no samples"),
        ({"x": np.ones((2, 2)), "labels": np.array([1, 2, 3])}, "3 labels for 2 samples"),
        ({"x": np.ones((2, 2)), "labels": np.array([1, -2])}, "labels range from -2 to 1"),
        (
            {"x": np.ones((2, 2)), "labels": np.array([2**64 - 1, 0], np.uint64)},
            "labels range from 0 to 18446744073709551615",
        ),
        (
            {"x": np.ones((2, 2)), "labels": np.ones((2, 1, 1))},
            "labels are float64 of shape (2, 1, 1)",
        ),
        (
            {"x": np.ones((2, 2)), "labels": np.array([[1], [2]])},
            "labels are int64 of shape (2, 1)",
        ),
        ({"x": np.array(["a", "b"])}, "the type <U1 is not a number"),
        ({"x": np.ones((2, 2)), "labels": np.array([1.0, np.nan])}, "the labels hold NaN"),
        ({"x": np.ones((2, 2)), "label_boxes": np.ones((2, 5))}, "of shape (2, 5)"),
        ({"x": np.ones((2, 2)), "label_boxes": np.full((1, 6), 2.0)}, "samples 2 to 2"),
        ({"x": np.ones((2, 2), complex)}, "the type complex128 is not a number"),
    ],
)
def test_unfit_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert message in refused(tmp_path / "a.npz").message


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_pickle_is_never_run(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    payload = Payload(tmp_path / "was-run")
    array = np.array([payload], dtype=object)
    if suffix == "npy":
        np.save(path, array)
    else:
        np.savez(path, images=array)
    assert "the type object is not a number" in refused(path).message
    path.write_bytes(pickle.dumps(payload))
    assert "corrupt" in refused(path).message
    assert not payload.trace.exists()


HOSTILE = {
    "empty file": (b"", "corrupt"),
    "text": (b"hello world, no array", "corrupt"),
    "negative length": (described("(-1, 4, 4)") + bytes(64), "negative length"),
    "absurd shape": (described("(1000000000, 1000000)") + bytes(64), "931322.6 GB of arrays"),
    "too short": (described("(100, 8, 8)") + bytes(64), "64 bytes of data where the shape"),
    "not a header": (header("__import__('os')\n") + bytes(64), "corrupt"),
    "header cut": (b"\x93NUMPY\x01\x00\xff\xff{'descr'", "corrupt"),
    "4 GB header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "corrupt"),
    "object": (described("(4,)", "|O") + bytes(64), "the type object is not a number"),
    "structured": (header("{}", b"\x03\x00") + bytes(64), "structured arrays"),
    "future version": (header("{}", b"\x09\x00") + bytes(64), "corrupt"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_npy_is_refused(tmp_path: Path, case: str) -> None:
    content, message = HOSTILE[case]
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    assert message in refused(path).message


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_npz_members_are_refused(tmp_path: Path, case: str) -> None:
    content, message = HOSTILE[case]
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
    assert message in refused(path).message


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_files, "MAX_LOADED_BYTES", 10**6)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((2000, 32, 32), dtype=np.uint8))
    assert path.stat().st_size < 10_000
    assert "GB of arrays; the limit is" in refused(path).message


def test_many_arrays_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_files, "MAX_LOADED_BYTES", 10**6)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **{f"x{index}": np.zeros((100, 1000)) for index in range(1)})
    open_source(path)
    np.savez_compressed(path, **{f"x{index}": np.zeros((100, 1000)) for index in range(2)})
    assert "GB of arrays; the limit is" in refused(path).message


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((2000, 32, 32), dtype=np.uint8))
    real = (2000 * 32 * 32 + 128).to_bytes(4, "little")
    content = path.read_bytes()
    assert real in content
    path.write_bytes(content.replace(real, (1000).to_bytes(4, "little")))
    assert "corrupt" in refused(path).message


def test_a_truncated_or_damaged_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    values = np.random.default_rng(0).integers(0, 256, (50, 16, 16), dtype=np.uint8)
    np.savez_compressed(path, images=values)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "corrupt" in refused(path).message
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    path.write_bytes(damaged)
    assert "corrupt" in refused(path).message
