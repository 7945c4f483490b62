from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rockpress.calibration_data.preprocess import Preprocess, suspicious_scale
from rockpress.core.diagnostics import render
from rockpress.core.errors import OptionError, SamplesError
from samples import Pixels, pixels

RESIZES = ("stretch", "letterbox", "corner", "fit", "crop")


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    return pixels(height, width, channels, seed=seed)


def flat(height: int, width: int, value: int = 200) -> NDArray[Any]:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_stretch_is_cv2_resize() -> None:
    image = picture(37, 53)
    expected = cv2.resize(image, (20, 10), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(Preprocess((10, 20)).pixels(image), expected)


def test_same_size_keeps_every_pixel() -> None:
    image = picture(12, 20)
    for resize in RESIZES:
        result = Preprocess((12, 20), resize).pixels(image)  # type: ignore[arg-type]
        np.testing.assert_array_equal(result, image)


def test_letterbox_centres_and_pads_114() -> None:
    result = Preprocess((40, 40), "letterbox").pixels(flat(10, 20))
    assert (result[:10] == 114).all() and (result[30:] == 114).all()
    assert (result[10:30] == 200).all()


def test_corner_leaves_the_image_at_the_top_left() -> None:
    result = Preprocess((40, 40), "corner").pixels(flat(10, 27))
    assert (result[:14] == 200).all() and (result[14:] == 114).all()
    tall = Preprocess((40, 40), "corner", pad=0).pixels(flat(27, 10))
    assert (tall[:, :14] == 200).all() and (tall[:, 14:] == 0).all()


def test_letterbox_of_a_tall_image_pads_left_and_right() -> None:
    result = Preprocess((40, 40), "letterbox", pad=7).pixels(flat(20, 10))
    assert (result[:, :10] == 7).all() and (result[:, 30:] == 7).all()
    assert (result[:, 10:30] == 200).all()


def test_letterbox_with_an_odd_rest_puts_the_extra_pixel_below() -> None:
    result = Preprocess((5, 4), "letterbox").pixels(flat(4, 4))
    assert (result[:4] == 200).all() and (result[4] == 114).all()


def test_fit_is_left_aligned_and_padded_with_the_mean_of_each_channel() -> None:
    preprocess = Preprocess((10, 40), "fit", mean=(123.675, 116.28, 103.53), std=(58.0,))
    result = preprocess.pixels(flat(20, 30))
    assert (result[:, :15] == 200).all()
    assert (result[:, 15:] == [124, 116, 104]).all()
    padding = preprocess.normalised(result)[0, :, :, 15:]
    assert np.abs(padding).max() <= 0.5 / 58


def test_fit_squeezes_what_is_wider_than_the_input() -> None:
    image = picture(20, 300)
    expected = cv2.resize(image, (40, 10), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(Preprocess((10, 40), "fit").pixels(image), expected)


def test_fit_rounds_the_width_up() -> None:
    result = Preprocess((10, 40), "fit", pad=0).pixels(flat(20, 21))  # 10.5 columns
    assert (result[:, :11] == 200).all() and (result[:, 11:] == 0).all()


def test_fit_clips_a_mean_outside_of_the_pixels() -> None:
    assert Preprocess((4, 8), "fit", mean=(-3.0, 300.0, 7.5)).padding == (0, 255, 8)


def test_crop_takes_the_centre() -> None:
    image = flat(10, 30, 0)
    image[:, 10:20] = 255
    assert (Preprocess((10, 10), "crop").pixels(image) == 255).all()


def test_crop_brings_the_shorter_side_to_size() -> None:
    image = picture(64, 48)
    whole = cv2.resize(image, (32, 43), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(Preprocess((32, 32), "crop").pixels(image), whole[5:37])


def test_crop_refuses_an_image_too_thin_to_enlarge() -> None:
    with pytest.raises(SamplesError, match="1x400000 pixels is too long and thin to crop to 224x"):
        Preprocess((224, 224), "crop").pixels(flat(1, 400_000))


@settings(max_examples=60, deadline=None)
@given(
    have=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    want=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(RESIZES),
    color=st.sampled_from(("rgb", "bgr", "gray")),
    channels=st.sampled_from((1, 3, 4)),
)
def test_pixels_always_have_the_size_and_channels_asked_for(
    have: tuple[int, int], want: tuple[int, int], resize: Any, color: Any, channels: int
) -> None:
    preprocess = Preprocess(want, resize, color=color)
    result = preprocess.pixels(picture(*have, channels))
    assert result.shape == (*want, preprocess.channels)
    assert result.dtype == np.uint8
    assert preprocess.normalised(result).shape == (1, preprocess.channels, *want)


@settings(max_examples=40, deadline=None)
@given(
    have=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    want=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_letterbox_touches_both_ends_of_one_axis_and_keeps_the_ratio(
    have: tuple[int, int], want: tuple[int, int]
) -> None:
    result = Preprocess(want, "letterbox", pad=0).pixels(flat(*have))
    rows = int((result == 200).all(axis=2).any(axis=1).sum())
    columns = int((result == 200).all(axis=2).any(axis=0).sum())
    assert rows == want[0] or columns == want[1]
    scale = min(want[0] / have[0], want[1] / have[1])
    assert abs(rows - max(1, scale * have[0])) <= 0.51
    assert abs(columns - max(1, scale * have[1])) <= 0.51


def test_bgr_reverses_rgb_and_drops_alpha() -> None:
    image = picture(6, 6, 4)
    rgb = Preprocess((6, 6)).pixels(image)
    bgr = Preprocess((6, 6), color="bgr").pixels(image)
    np.testing.assert_array_equal(rgb, image[:, :, :3])
    np.testing.assert_array_equal(bgr, image[:, :, [2, 1, 0]])


def test_gray_weighs_the_channels_as_opencv_does() -> None:
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[:, :, 0] = 255
    assert (Preprocess((2, 2), color="gray").pixels(red) == 76).all()  # 0.299 * 255


def test_a_gray_image_fills_all_three_channels() -> None:
    image = picture(4, 4, 1)
    for source in (image, image[:, :, 0]):
        result = Preprocess((4, 4)).pixels(source)
        np.testing.assert_array_equal(result, np.repeat(image, 3, axis=2))


def test_normalised_subtracts_and_divides_each_channel_of_its_own() -> None:
    preprocess = Preprocess((1, 1), mean=(1, 2, 3), std=(2, 4, 5))
    result = preprocess.normalised(np.array([[[11, 22, 33]]], dtype=np.uint8))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result.ravel(), [5, 5, 6])


def test_nhwc_keeps_the_channels_last() -> None:
    image = picture(4, 6)
    nhwc = Preprocess((4, 6), layout="nhwc").normalised(image)
    nchw = Preprocess((4, 6)).normalised(image)
    np.testing.assert_array_equal(nhwc, image[np.newaxis])
    np.testing.assert_array_equal(nchw, nhwc.transpose(0, 3, 1, 2))
    assert nchw.flags.c_contiguous


def test_lists_and_whole_numbers_make_an_equal_preprocess() -> None:
    one = Preprocess([4, 6], mean=[1, 2, 3], std=[1])  # type: ignore[arg-type]
    assert one == Preprocess((4, 6), mean=(1.0, 2.0, 3.0), std=(1.0,))
    assert hash(one) == hash(Preprocess((4, 6), mean=(1.0, 2.0, 3.0), std=(1.0,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": (0,)}, "--std 0 holds a value that is not above 0"),
        ({"std": (1, -1, 1)}, "--std 1,-1,1 holds a value that is not above 0"),
        ({"std": (1, 2)}, "--std has 2 values, but rgb takes 1 or 3 values"),
        ({"std": ()}, "--std has 0 values"),
        ({"mean": (1, 2, 3), "color": "gray"}, "--mean has 3 values, but gray takes 1 value"),
        ({"mean": (float("nan"),)}, "--mean nan is not finite"),
        ({"std": (float("inf"),)}, "--std inf is not finite"),
        ({"resize": "zoom"}, "--resize zoom is not known"),
        ({"color": "yuv"}, "--color yuv is not known"),
        ({"layout": "chw"}, "--layout chw is not known"),
        ({"size": (0, 4)}, "--size 0x4 is not a height and a width"),
        ({"size": (4, 4, 3)}, "--size 4x4x3 is not a height and a width"),
        ({"pad": 114}, "--pad 114 has no effect with --resize stretch"),
        ({"pad": 0, "resize": "crop"}, "--pad 0 has no effect with --resize crop"),
        ({"pad": 256, "resize": "letterbox"}, "--pad 256 is not a pixel value"),
        ({"pad": -1, "resize": "fit"}, "--pad -1 is not a pixel value"),
        ({"pad": 0.5, "resize": "fit"}, "--pad 0.5 is not a pixel value"),
        ({"pad": float("nan"), "resize": "fit"}, "--pad nan is not a pixel value"),
    ],
)
def test_contradicting_values_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Preprocess(**{"size": (4, 4), **options})
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), dtype=np.float32), "type float32 is not an image"),
        (np.zeros((4,), dtype=np.uint8), "shape (4,)"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "shape (0, 4, 3)"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "2 channels is not gray, RGB or RGBA"),
    ],
)
def test_inputs_that_are_no_image_are_refused(array: Any, message: str) -> None:
    with pytest.raises(SamplesError) as caught:
        Preprocess((4, 4)).pixels(array)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("mean", "std", "advice"),
    [
        (
            (0.485, 0.456, 0.406),
            (0.229, 0.224, 0.225),
            "--mean 123.675,116.28,103.53 --std 58.395,57.12,57.375",
        ),
        ((0.5,), (0.5,), "--mean 127.5 --std 127.5"),
        ((0.5,), (1,), "--mean 127.5 --std 255"),
        ((0,), (1 / 255,), "--mean 0 --std 255"),
        ((0,), (0.5,), "--mean 0 --std 127.5"),
        ((-0.5,), (0.5,), "--mean -127.5 --std 127.5"),
    ],
)
def test_the_scale_from_0_to_1_is_noticed(mean: Any, std: Any, advice: str) -> None:
    message = suspicious_scale(mean, std)
    assert message is not None and render(message).endswith(advice)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0,), (1,)),
        ((0,), (255,)),
        ((127.5,), (127.5,)),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ((104, 117, 123), (1, 1, 1)),
    ],
)
def test_the_scale_from_0_to_255_is_not_suspicious(mean: Any, std: Any) -> None:
    assert suspicious_scale(mean, std) is None
