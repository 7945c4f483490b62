from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rockpress.calibration_data.preprocess import Preprocess
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.sample_selection import choose
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.core.errors import OptionError, SamplesError
from samples import Pixels, pixels

NCHW = {"x": (1, 3, 4, 6)}


def image_set(path: Path, count: int = 6, channels: int = 3) -> Pixels:
    images = pixels(count, 8, 12, channels)
    np.savez(path, images=images, labels=np.arange(count) % 3)
    return images


@pytest.fixture
def images_npz(tmp_path: Path) -> Path:
    image_set(tmp_path / "images.npz")
    return tmp_path / "images.npz"


def tensors_npy(tmp_path: Path, shape: tuple[int, ...], kind: Any = np.float32) -> Path:
    path = tmp_path / "tensors.npy"
    np.save(path, np.arange(np.prod(shape)).reshape(shape).astype(kind))
    return path


def test_one_preprocess_gives_both_feeds(images_npz: Path) -> None:
    samples = open_samples(images_npz, NCHW, Preprocessing(mean=(10, 20, 30), std=(2,)))
    assert samples.is_pixels and len(samples) == 6
    assert samples.preprocess == Preprocess((4, 6), mean=(10, 20, 30), std=(2,))
    feed, pixels = samples.feeds(1)["x"], samples.npu_feeds(1)["x"]
    assert feed.shape == (1, 3, 4, 6) and feed.dtype == np.float32
    assert pixels.shape == (1, 4, 6, 3) and pixels.dtype == np.uint8
    expected = (pixels.transpose(0, 3, 1, 2).astype(np.float32) - [[[[10]], [[20]], [[30]]]]) / 2
    np.testing.assert_array_equal(feed, expected)


@pytest.mark.parametrize(
    ("shape", "size", "color", "layout"),
    [
        ((1, 3, 4, 6), (4, 6), "rgb", "nchw"),
        ((1, 1, 4, 6), (4, 6), "gray", "nchw"),
        ((1, 4, 6, 3), (4, 6), "rgb", "nhwc"),
        ((1, 4, 6, 1), (4, 6), "gray", "nhwc"),
        ((1, 3, 224, 3), (224, 3), "rgb", "nchw"),
    ],
)
def test_size_channels_and_layout_come_from_the_model(
    images_npz: Path, shape: tuple[int, ...], size: tuple[int, int], color: str, layout: str
) -> None:
    samples = open_samples(images_npz, {"x": shape})
    assert samples.preprocess is not None
    seen = samples.preprocess
    assert (seen.size, seen.color, seen.layout) == (size, color, layout)
    assert samples.feeds(0)["x"].shape == shape


def test_resize_options_reach_the_preprocess(images_npz: Path) -> None:
    samples = open_samples(images_npz, NCHW, Preprocessing(resize="letterbox", pad=3, color="bgr"))
    assert samples.preprocess == Preprocess((4, 6), "letterbox", 3, "bgr")


def test_iterating_twice_gives_the_same_feeds(images_npz: Path) -> None:
    samples = open_samples(images_npz, NCHW)
    first = [feeds["x"] for feeds in samples]
    second = [feeds["x"] for feeds in samples]
    assert len(first) == 6
    np.testing.assert_array_equal(first, second)


def test_image_files_are_decoded_one_by_one_when_needed(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        Image.new("RGB", (8, 8), (50, 60, 70)).save(tmp_path / name)
    (tmp_path / "3.png").write_bytes(b"broken")
    samples = open_samples(tmp_path, NCHW)
    iterator = iter(samples)
    assert next(iterator)["x"][0, :, 0, 0].tolist() == [50, 60, 70]
    assert next(iterator)["x"].shape == (1, 3, 4, 6)
    with pytest.raises(SamplesError, match=r"3\.png: the image cannot be decoded"):
        next(iterator)


def test_an_image_that_does_not_fit_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (400_000, 1)).save(tmp_path / "1.png")
    with pytest.raises(SamplesError, match=r"1\.png: an image of 1x400000 pixels is too long"):
        open_samples(tmp_path, {"x": (1, 3, 224, 224)}, Preprocessing(resize="crop"))


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (5, 1, 3, 4, 6)])
def test_float_tensors_are_fed_as_they_are(tmp_path: Path, shape: tuple[int, ...]) -> None:
    samples = open_samples(tensors_npy(tmp_path, shape, np.float64), NCHW)
    assert not samples.is_pixels and samples.preprocess is None
    for feeds in (samples.feeds(2), samples.npu_feeds(2)):
        assert feeds["x"].dtype == np.float32
        np.testing.assert_array_equal(feeds["x"].ravel(), np.arange(144, 216))


def test_integer_tensors_keep_their_type(tmp_path: Path) -> None:
    samples = open_samples(tensors_npy(tmp_path, (5, 7), np.int64), {"ids": (1, 7)})
    assert samples.feeds(1)["ids"].dtype == np.int64


def test_listed_npy_files_with_a_batch_axis(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 3, 4, 6), dtype=np.float16))
    (tmp_path / "dataset.txt").write_text("a.npy\n")
    samples = open_samples(tmp_path / "dataset.txt", NCHW)
    assert samples.feeds(0)["x"].dtype == np.float32
    assert len(samples.digest()) == 64


def test_several_inputs_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", b=np.zeros((3, 2)), a=np.ones((3, 5)), labels=np.arange(3))
    samples = open_samples(tmp_path / "a.npz", {"a": (1, 5), "b": (1, 2)})
    feeds = samples.feeds(0)
    assert list(feeds) == ["a", "b"]
    assert feeds["a"].shape == (1, 5) and feeds["b"].shape == (1, 2)
    assert samples.labels is not None and samples.labels.classes().tolist() == [0, 1, 2]


def test_a_single_array_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((3, 2), dtype=np.float32))
    assert list(open_samples(tmp_path / "a.npz", {"a": (1, 2)}).feeds(0)) == ["a"]


@pytest.mark.parametrize(
    ("arrays", "inputs", "message"),
    [
        (
            {"a": (2, 5)},
            {"a": (1, 5), "b": (1, 2)},
            "the arrays a, but the model's inputs are a, b",
        ),
        (
            {"a": (2, 5), "c": (2, 2)},
            {"a": (1, 5)},
            "the arrays a, c, but the model's inputs are a",
        ),
        (
            {"x": (2, 4, 6, 3)},
            NCHW,
            "[0]: the sample has the shape (4, 6, 3), but input 'x' takes (1, 3, 4, 6)",
        ),
        ({"x": (2, 2, 3, 4, 6)}, NCHW, "has the shape (2, 3, 4, 6), but"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], inputs: Any, message: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{name: np.zeros(shape) for name, shape in arrays.items()})
    with pytest.raises(SamplesError) as caught:
        open_samples(path, inputs)
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": (1, 3, 4, 6), "b": (1, 2)}, "images for a model with 2 inputs: a, b"),
        ({"x": (1, 10)}, "images do not fit the input 'x' of shape (1, 10)"),
        ({"x": (1, 4, 8, 8)}, "images do not fit the input 'x' of shape (1, 4, 8, 8)"),
    ],
)
def test_images_that_do_not_fit_are_refused(images_npz: Path, inputs: Any, message: str) -> None:
    with pytest.raises(SamplesError) as caught:
        open_samples(images_npz, inputs)
    assert message in caught.value.message and caught.value.hint


def test_color_must_fit_the_channels(images_npz: Path) -> None:
    with pytest.raises(OptionError, match="--color gray does not fit the model's 3 input"):
        open_samples(images_npz, NCHW, Preprocessing(color="gray"))
    with pytest.raises(OptionError, match="--color bgr does not fit the model's 1 input"):
        open_samples(images_npz, {"x": (1, 1, 4, 6)}, Preprocessing(color="bgr"))


@pytest.mark.parametrize("options", [{"mean": (1,)}, {"std": (2,)}])
def test_mean_and_std_are_not_dropped_silently(tmp_path: Path, options: Any) -> None:
    with pytest.raises(OptionError, match=r"--mean and --std are for images, but .* holds tensors"):
        open_samples(tensors_npy(tmp_path, (5, 3, 4, 6)), NCHW, Preprocessing(**options))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_tensor_that_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    values = np.zeros((3, 2))
    values[1, 1] = bad
    np.save(tmp_path / "a.npy", values)
    samples = open_samples(tmp_path / "a.npy", {"x": (1, 2)})
    with pytest.raises(SamplesError, match=r"a\.npy\[1\]: the sample for input 'x' holds NaN"):
        samples.feeds(1)


def test_take_is_seeded_and_stratified(images_npz: Path) -> None:
    samples = open_samples(images_npz, NCHW)
    taken = samples.take(3, seed=5)
    assert len(taken) == 3
    assert taken.labels is not None and sorted(taken.labels.classes()) == [0, 1, 2]
    np.testing.assert_array_equal(taken.indices, samples.take(3, seed=5).indices)
    assert {tuple(samples.take(3, seed=seed).indices) for seed in range(9)} != {
        tuple(taken.indices)
    }
    counted = open_samples(images_npz, NCHW, count=3, seed=5)
    np.testing.assert_array_equal(counted.indices, taken.indices)


def test_a_split_gives_what_is_taken_and_the_rest(images_npz: Path) -> None:
    samples = open_samples(images_npz, NCHW)
    rest, taken = samples.split(3, seed=5)
    np.testing.assert_array_equal(taken.indices, samples.take(3, seed=5).indices)
    assert sorted([*rest.indices, *taken.indices]) == sorted(samples.indices)


def test_a_choice_of_a_choice_stays_inside_it(images_npz: Path) -> None:
    for seed in range(5):
        first = open_samples(images_npz, NCHW, count=3, seed=seed)
        second = first.take(2, seed=2)
        assert len(second) == 2 and set(second.indices) < set(first.indices)
        same = first.feeds(first.indices.tolist().index(second.indices[0]))["x"]
        np.testing.assert_array_equal(second.feeds(0)["x"], same)


@pytest.mark.parametrize("count", [0, -3])
def test_a_count_below_1_is_refused(images_npz: Path, count: int) -> None:
    with pytest.raises(OptionError, match=f"{count} samples cannot be chosen"):
        open_samples(images_npz, NCHW, count=count)


@given(total=st.integers(1, 200), count=st.integers(1, 220), seed=st.integers(0, 3))
def test_an_unlabelled_choice_is_spread_over_the_order(total: int, count: int, seed: int) -> None:
    chosen = choose(total, count, seed, None)
    assert len(chosen) == min(total, count)
    assert (np.diff(chosen) > 0).all()
    places = np.arange(len(chosen)) * total / len(chosen)
    assert (np.abs(chosen - places) <= total / len(chosen) + 1).all()


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=150),
    count=st.integers(1, 160),
    seed=st.integers(0, 3),
)
def test_a_labelled_choice_keeps_the_share_of_each_class(
    labels: list[int], count: int, seed: int
) -> None:
    array = np.array(labels, dtype=np.int64)
    chosen = choose(len(array), count, seed, array)
    assert len(set(chosen.tolist())) == min(len(array), count)
    wanted = np.bincount(array, minlength=5) * len(chosen) / len(array)
    assert (np.abs(np.bincount(array[chosen], minlength=5) - wanted) <= 2).all()


def digest_of(path: Path, inputs: Any = NCHW, **options: Any) -> str:
    return open_samples(path, inputs, **options).digest()


def test_the_digest_is_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / folder / "a.png")
        Image.new("RGB", (8, 8), (4, 5, 6)).save(tmp_path / folder / "b.png")
    before = digest_of(tmp_path / "one")
    assert before == digest_of(tmp_path / "two")
    Image.new("RGB", (8, 8), (4, 5, 7)).save(tmp_path / "two" / "b.png")
    assert before != digest_of(tmp_path / "two")


def test_the_files_are_read_for_the_digest_once(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png")
    samples = open_samples(tmp_path, NCHW)
    before = samples.digest()
    (tmp_path / "a.png").unlink()
    assert samples.digest() == before


def test_the_digest_changes_with_whatever_changes_the_samples(tmp_path: Path) -> None:
    images = image_set(tmp_path / "images.npz")
    np.savez(tmp_path / "relabelled.npz", images=images, labels=np.arange(6) % 2)
    np.savez(tmp_path / "unlabelled.npz", images=images)
    images[3, 0, 0, 0] ^= 1
    np.savez(tmp_path / "changed.npz", images=images, labels=np.arange(6) % 3)
    path = tmp_path / "images.npz"
    digests = [
        digest_of(path),
        digest_of(path, preprocessing=Preprocessing(resize="crop")),
        digest_of(path, preprocessing=Preprocessing(mean=(1,))),
        digest_of(path, count=3),
        digest_of(path, inputs={"y": (1, 3, 4, 6)}),
        digest_of(tmp_path / "relabelled.npz"),
        digest_of(tmp_path / "unlabelled.npz"),
        digest_of(tmp_path / "changed.npz"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of(path, count=3, seed=0) == digests[3]


def test_the_digest_tells_labels_apart_that_read_as_one_number(tmp_path: Path) -> None:
    """They are texts to read, too: 007 is not 7, and digits of other scripts are none of ours."""
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png")
    found = []
    for label in ("7", "07", "007", "\u0667", "\u00b2", "2", "seven"):
        (tmp_path / "labels.csv").write_text(f"path,label\na.png,{label}\n")
        found.append(digest_of(tmp_path / "labels.csv"))
    assert len(set(found)) == len(found)


def test_the_digest_is_of_the_names_of_all_classes(tmp_path: Path) -> None:
    """Those that no chosen sample has shift the others' indices; a class is told by its name."""
    for name in ("b", "c"):
        (tmp_path / "folders" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (1, 2, ord(name))).save(tmp_path / "folders" / name / "x.png")
    before = digest_of(tmp_path / "folders", count=1)
    (tmp_path / "folders" / "c").rename(tmp_path / "folders" / "d")
    assert digest_of(tmp_path / "folders", count=1) != before


def test_samples_keep_no_feed_alive(images_npz: Path) -> None:
    import gc
    import weakref

    samples: Samples = open_samples(images_npz, NCHW)
    seen = [weakref.ref(feeds["x"]) for feeds in samples]
    gc.collect()
    assert sum(one() is not None for one in seen) <= 1
