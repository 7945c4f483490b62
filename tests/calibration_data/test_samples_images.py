from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rockpress.calibration_data.images import decode as images
from rockpress.calibration_data.images.decode import decode_image
from rockpress.core.errors import SamplesError
from samples import Pixels, pixels


def colours(height: int = 6, width: int = 8) -> Pixels:
    return pixels(height, width, 3)


def png(width: int, height: int) -> bytes:
    """A PNG whose header says any size, with almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "ppm"])
def test_lossless_formats_give_the_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours()).save(path)
    np.testing.assert_array_equal(decode_image(path), colours())


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_formats_give_the_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 6), (200, 100, 50)).save(path, quality=95)
    decoded = decode_image(path)
    assert decoded.shape == (6, 8, 3)
    assert np.abs(decoded.astype(int) - [200, 100, 50]).max() < 8


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_gray_files_stay_gray(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(colours()).convert("L").convert(mode).save(path)
    assert decode_image(path).shape == (6, 8, 1)


def test_a_pgm_is_gray(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 3 2 255\n" + bytes(range(6)))
    np.testing.assert_array_equal(decode_image(path)[:, :, 0], [[0, 1, 2], [3, 4, 5]])


def test_alpha_is_dropped_without_blending(tmp_path: Path) -> None:
    rgba = np.dstack([colours(), np.zeros((6, 8), dtype=np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), colours())


def test_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(colours()).convert("P").save(tmp_path / "a.png")
    Image.fromarray(colours()).convert("CMYK").save(tmp_path / "a.jpg")
    assert decode_image(tmp_path / "a.png").shape == (6, 8, 3)
    assert decode_image(tmp_path / "a.jpg").shape == (6, 8, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_upper_8_of_16_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    values = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(decode_image(path)[:, :, 0], [[0, 0, 1], [0x12, 0xFF, 0xFF]])


def test_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[70000]], dtype=np.int32)).save(path)
    with pytest.raises(SamplesError, match="range from 70000 to 70000, which is more than 16"):
        decode_image(path)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(path)
    with pytest.raises(SamplesError, match=r"a\.tif: the image holds floating-point pixels"):
        decode_image(path)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    Image.fromarray(colours()).save(path, exif=exif)
    np.testing.assert_array_equal(decode_image(path), np.rot90(colours(), -1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is none of the known formats"),
        (b"not an image", "it is none of the known formats"),
        (b"GIF89a" + bytes(100), "it is none of the known formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is none of the known formats"),
        (png(30, 30), "cannot be decoded"),
        (png(9000, 9000), "9000x9000 pixels is too large an image"),
        (png(60000, 60000), "more than 170 megapixels is too large an image"),
    ],
)
def test_bad_content_names_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with warnings.catch_warnings(), pytest.raises(SamplesError) as caught:
        warnings.simplefilter("error")  # a warning of Pillow must not reach the user's terminal
        decode_image(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert message in caught.value.message
    assert caught.value.hint


def test_a_large_file_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "a.bmp"
    path.write_bytes(bytes(2**20 + 1))
    with pytest.raises(SamplesError, match="a file of 1 MB is too large an image"):
        decode_image(path)


def test_missing_files_and_folders_are_no_images(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(SamplesError, match="there is no such image file"):
            decode_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "ppm"])
def test_damaged_files_are_decoded_or_refused_never_a_crash(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours(40, 40)).save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for trial in range(60):
        damaged = bytearray(whole)
        for place in generator.integers(0, min(len(damaged), 200), 4):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged[: generator.integers(1, len(damaged))] if trial % 2 else damaged)
        try:
            assert decode_image(path).dtype == np.uint8
        except SamplesError as error:
            assert str(path) in error.message
            refused += 1
    assert refused
