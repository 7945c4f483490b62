"""What is odd about a set of samples is told; sets that are as they should be are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import Run
from rockpress.calibration_data.bundled import CALIBRATION, TEST, sample_path
from rockpress.calibration_data.hygiene import sample_warnings
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.core.errors import SamplesError
from rockpress.core.progress import SILENT
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.stages.baseline import measure_baseline
from rockpress.pipeline.stages.stage_log import StageLog
from samples import Pixels, pixels, save_images

INPUT = {"x": (1, 3, 32, 32)}


def noise(seed: int, *shape: int) -> Pixels:
    return pixels(*shape, seed=seed)


def folder_of(path: Path, count: int, seed: int, size: tuple[int, int] = (32, 32)) -> Path:
    return save_images(path, (noise(100 * seed + index, *size, 3) for index in range(count)))


def labelled(path: Path, count: int = 4) -> Path:
    for seed, name in enumerate("ab"):
        folder_of(path / name, count, 10 + seed)
    return path


def opened(path: Path) -> Samples:
    return open_samples(path, INPUT)


def codes(calib: Samples | None, evaluation: Samples) -> list[str]:
    return [one.code for one in sample_warnings(calib, evaluation, 0)]


def test_clean_sets_are_not_remarked_on(tmp_path: Path) -> None:
    calib, evaluation = folder_of(tmp_path / "calib", 6, 1), labelled(tmp_path / "eval")
    assert codes(opened(calib), opened(evaluation)) == []
    gray = {"x": (1, 1, 28, 28)}
    bundled = [open_samples(sample_path(name), gray) for name in (CALIBRATION, TEST)]
    assert codes(*bundled) == []


def test_an_overlap_is_found_by_content(tmp_path: Path) -> None:
    evaluation = labelled(tmp_path / "eval")
    calib = folder_of(tmp_path / "calib", 6, 1)
    (calib / "other name.png").write_bytes((evaluation / "b" / "2.png").read_bytes())
    (found,) = sample_warnings(opened(calib), opened(evaluation), 0)
    assert found.code == "calibration-overlap"
    assert found.text.startswith("1 of 8 evaluation samples are among")


def test_an_overlap_of_arrays(tmp_path: Path) -> None:
    images = noise(0, 20, 32, 32, 3)
    np.savez(tmp_path / "eval.npz", images=images, labels=np.arange(20) % 2)
    np.save(tmp_path / "calib.npy", images[15:])
    (found,) = sample_warnings(opened(tmp_path / "calib.npy"), opened(tmp_path / "eval.npz"), 0)
    assert found.text.startswith("5 of 20 evaluation samples")


def test_a_set_for_both_roles_is_no_overlap(tmp_path: Path) -> None:
    samples = opened(folder_of(tmp_path / "images", 6, 1))
    assert codes(samples, samples) == []


def test_copies_in_a_set(tmp_path: Path) -> None:
    calib, evaluation = folder_of(tmp_path / "calib", 6, 1), labelled(tmp_path / "eval")
    for index in range(3):
        (calib / f"copy{index}.png").write_bytes((calib / "0.png").read_bytes())
        (evaluation / "a" / f"copy{index}.png").write_bytes(
            (evaluation / "b" / "0.png").read_bytes()
        )
    found = sample_warnings(opened(calib), opened(evaluation), 0)
    assert [one.code for one in found] == ["calibration-copies", "evaluation-copies"]
    assert found[0].text == "3 of 9 calibration samples are copies of others"


def test_a_set_for_calibration_alone(tmp_path: Path) -> None:
    calib = folder_of(tmp_path / "calib", 6, 1, (8, 8))
    for index in range(3):
        (calib / f"copy{index}.png").write_bytes((calib / "0.png").read_bytes())
    found = sample_warnings(opened(calib), None, 0)
    assert [one.code for one in found] == ["calibration-copies", "preprocess-small-images"]
    assert sample_warnings(None, None, 0) == ()


@pytest.mark.parametrize("command", [["quantize"], ["prune", "--budget", "macs=-10%"]])
def test_a_single_stage_tells_of_its_calibration_samples(
    rockpress: Run,
    command: list[str],
    small_cnn: Path,
    tmp_path: Path,
) -> None:
    images = noise(0, 12, 32, 32, 3)
    np.save(tmp_path / "calib.npy", np.concatenate([images, images[:6]]))
    calib = ["--calib", tmp_path / "calib.npy", "--quiet"]
    code, _, said = rockpress(*command, small_cnn, *calib, "-o", tmp_path / "x.onnx")
    assert code == 0, said
    assert said.count("6 of 18 calibration samples are copies") == 1


def test_a_single_copy_is_not_worth_a_word(tmp_path: Path) -> None:
    calib = folder_of(tmp_path / "calib", 6, 1)
    (calib / "copy.png").write_bytes((calib / "0.png").read_bytes())
    assert codes(opened(calib), opened(labelled(tmp_path / "eval"))) == []


def test_labels_of_one_class(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=noise(0, 9, 32, 32, 3), labels=np.full(9, 3))
    (found,) = sample_warnings(None, opened(tmp_path / "set.npz"), 0)
    assert found.code == "evaluation-one-class"
    assert found.text == "all 9 evaluation samples have the label 3"


def rgba(folder: Path) -> None:
    pixels = noise(0, 32, 32, 4)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(folder / "opaque.png")
    pixels[0, 0, 3] = 254
    Image.fromarray(pixels).save(folder / "glass.png")


def palette(folder: Path) -> None:
    image = Image.fromarray(noise(0, 32, 32, 3)).quantize(16)
    image.save(folder / "glass.png", transparency=0)


def deep(folder: Path) -> None:
    sensor = noise(0, 32, 32).astype(np.uint16) * 16
    sensor[0, 0] = 4080
    Image.fromarray(sensor).save(folder / "sensor.png")


def turned(folder: Path) -> None:
    image = Image.fromarray(noise(0, 32, 32, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "phone.jpg", exif=exif)
    exif[0x0112] = 1
    image.save(folder / "upright.jpg", exif=exif)


@pytest.mark.parametrize(
    ("write", "code", "text"),
    [
        (rgba, "preprocess-alpha", "1 of 8 images have transparent pixels"),
        (palette, "preprocess-alpha", "1 of 7 images have transparent pixels"),
        (deep, "preprocess-16-bit", "up to the value 4080; the upper 8 are kept, 0 to 15"),
        (turned, "preprocess-exif", "1 of 8 images are turned"),
    ],
)
def test_images_that_decoding_changes(
    write: Callable[[Path], None], code: str, text: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "images", 6, 1)
    write(folder)
    (found,) = sample_warnings(None, opened(folder), 0)
    assert found.code == code and text in found.text


def test_alpha_in_an_array(tmp_path: Path) -> None:
    images = noise(0, 5, 32, 32, 4)
    images[..., 3] = 255
    np.save(tmp_path / "set.npy", images)
    assert codes(None, opened(tmp_path / "set.npy")) == []
    images[2, 0, 0, 3] = 0
    np.save(tmp_path / "set.npy", images)
    assert codes(None, opened(tmp_path / "set.npy")) == ["preprocess-alpha"]


@pytest.mark.parametrize(
    ("size", "small"), [((15, 15), True), ((16, 10), False), ((10, 40), False), ((12, 14), True)]
)
def test_images_much_smaller_than_the_input(
    size: tuple[int, int], small: bool, tmp_path: Path
) -> None:
    found = sample_warnings(None, opened(folder_of(tmp_path / "images", 4, 1, size)), 0)
    assert [one.code for one in found] == ["preprocess-small-images"] * small
    if found:
        assert (
            f"4 of 4 images are less than half as large as the input 32x32, down to {size[0]}x"
            in (found[0].text)
        )


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 4, 1)
    samples = opened(folder)
    (folder / "2.png").write_bytes(b"no image")
    with pytest.raises(SamplesError, match=r"2\.png"):
        sample_warnings(None, samples, 0)


def test_tensors_have_contents_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 3, 32, 32)).astype(np.float32)
    np.save(tmp_path / "eval.npy", values)
    np.save(tmp_path / "calib.npy", values[:2])
    found = codes(opened(tmp_path / "calib.npy"), opened(tmp_path / "eval.npy"))
    assert found == ["calibration-overlap"]


def test_the_report_gets_them(small_cnn: Path, tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 4, 1)
    rgba(images)
    recipe = make_recipe(small_cnn, calib=images)
    ready = ready_model(small_cnn)
    samples = ready.samples(images, recipe.preprocessing)
    base = measure_baseline(ready, samples, samples, recipe, StageLog(SILENT))
    assert [one.code for one in base.warnings] == ["preprocess-alpha"]
