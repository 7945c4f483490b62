"""Samples as small pictures inside a report."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rockpress.accuracy.compare import compare
from rockpress.calibration_data.images.pictures import picture_uri
from rockpress.calibration_data.preprocessing import Color, Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.pipeline.figures.figures_of import changed_samples


def opened(uri: str) -> Image.Image:
    return Image.open(BytesIO(b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    [((28, 28, 1), (28, 28), "PNG"), ((48, 192, 3), (160, 40), "JPEG")],
)
def test_a_picture_is_small_and_whole(shape: tuple[int, ...], size: object, kind: str) -> None:
    pixels = np.full(shape, 200, np.uint8)
    image = opened(picture_uri(pixels))
    assert (image.size, image.format) == (size, kind)
    assert abs(int(np.asarray(image).max()) - 200) <= 2


def red_images(folder: Path, color: Color) -> Samples:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 4), (250, 10, 20)).save(folder / name / "0.png")
    return open_samples(folder, {"x": (1, 3, 4, 8)}, Preprocessing(color=color))


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_pictures_for_the_model_are_shown_in_true_colours(color: Color, tmp_path: Path) -> None:
    pixels = red_images(tmp_path, color).picture(0)
    assert pixels is not None
    assert pixels.shape == (4, 8, 3) and pixels[0, 0].tolist() == [250, 10, 20]


def test_flipped_samples_have_their_picture(tmp_path: Path) -> None:
    samples = red_images(tmp_path, "rgb")
    right, wrong = np.eye(2, dtype=np.float32), np.array([[1, 0], [1, 0]], np.float32)
    found = changed_samples(compare([right], [wrong], samples.labels, "top1"), samples)
    assert found is not None
    (example,) = found.worst
    assert example.sample.endswith("b/0.png") and example.image is not None
    assert opened(example.image).getpixel((0, 0)) == (250, 10, 20)


def test_tensors_have_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", images=np.zeros((2, 3), np.float32), labels=np.array([0, 1]))
    samples = open_samples(tmp_path / "t.npz", {"x": (1, 3)})
    assert samples.picture(0) is None
