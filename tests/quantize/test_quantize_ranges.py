"""Histograms and range methods against the same computed slowly from all values."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from graphs import model_of
from rockpress.core.errors import OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.quantize.graph_parts.placement import place
from rockpress.quantize.methods import find_method
from rockpress.quantize.methods.kl import kl_divergence
from rockpress.quantize.methods.mse import mse
from rockpress.quantize.methods.percentile import percentile
from rockpress.quantize.numeric.histogram import BINS, SAMPLED, Histogram, sampled
from rockpress.quantize.numeric.scales import activation_scale

Float = NDArray[np.float64]


def histogram_of(*parts: NDArray[Any]) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def draws(size: int = 8192) -> dict[str, Float]:
    """Values as activations have them, by the name of what gives them."""
    random = np.random.default_rng(0)
    normal = random.standard_normal(size)
    return {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(4 * normal, 0, 6),
        "silu": 2 * normal / (1 + np.exp(-2 * normal)),
        "sigmoid": 1 / (1 + np.exp(6 - 3 * normal)),
        "uniform": random.uniform(-1, 3, size),
        "laplace": random.laplace(size=size),
        "student": random.standard_t(3, size),
        "negative": -np.abs(normal),
        "two hills": np.concatenate([normal[1000:] - 1, 12 + normal[:1000]]),
        "pixels": random.integers(0, 256, size) / 255,
        "one far out": np.append(normal, 40.0),
    }


DRAWS = draws()
by_draw = pytest.mark.parametrize("values", DRAWS.values(), ids=DRAWS.keys())
RANGES = {name: find_method(name).ranges for name in ("min-max", "percentile", "mse", "kl")}
by_method = pytest.mark.parametrize(
    "method", [method.choose for method in RANGES.values()], ids=RANGES.keys()
)
Method = Callable[[Histogram], tuple[float, float]]

NUMBERS = st.one_of(*(st.floats(-bound, bound, width=32) for bound in (1.0, 2.0**100, 2.0**-100)))
PARTS = st.lists(arrays(np.float32, st.integers(0, 6), elements=NUMBERS), max_size=6)


@given(PARTS)
def test_growing_gives_the_counts_of_a_histogram_of_everything(
    parts: list[NDArray[np.float32]],
) -> None:
    histogram = histogram_of(*parts)
    values = np.concatenate([np.zeros(0), *parts])
    assert histogram.low == min(0, values.min(initial=0))
    assert histogram.high == max(0, values.max(initial=0))
    assert histogram.count == values.size
    assert histogram.zeros == (values == 0).sum()
    assert histogram.counts.shape == (BINS,)
    assert (np.diff(histogram.edges) == histogram.width).all()
    np.testing.assert_array_equal(histogram.counts, np.histogram(values, histogram.edges)[0])


@given(PARTS)
def test_the_order_does_not_matter(parts: list[NDArray[np.float32]]) -> None:
    one, other = histogram_of(*parts), histogram_of(*reversed(parts))
    np.testing.assert_array_equal(one.edges, other.edges)
    np.testing.assert_array_equal(one.counts, other.counts)


@pytest.mark.parametrize("exponent", [-146, -130, -100, -8, 0, 5, 12, 100, 125])
def test_single_precision_counts_as_double_does(exponent: int) -> None:
    random = np.random.default_rng(exponent % 7)
    values = np.ldexp(random.standard_normal((3, 20000)), exponent).astype(np.float32)
    values[:, :50] *= np.float32(1e-30)
    single, double = histogram_of(*values), histogram_of(*values.astype(np.float64))
    assert single.zeros == double.zeros
    np.testing.assert_array_equal(single.edges, double.edges)
    np.testing.assert_array_equal(single.counts, double.counts)


@pytest.mark.parametrize("step", [1.7, -1.7, -0.3, 1000.0, 1e-3])
def test_growth_upwards_downwards_and_both_ways(step: float) -> None:
    random = np.random.default_rng(1)
    parts = [random.standard_normal((2, 50, 7)) * step**power for power in range(8)]
    parts += [np.abs(part) + step for part in parts]
    histogram = histogram_of(*parts)
    values = np.concatenate([part.ravel() for part in parts])
    np.testing.assert_array_equal(histogram.counts, np.histogram(values, histogram.edges)[0])


@by_draw
def test_no_bin_is_wider_than_needed(values: Float) -> None:
    histogram = histogram_of(values)
    bins = (histogram.high - histogram.low) / histogram.width
    assert BINS / 2 - 1 <= bins <= BINS


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_and_layouts(dtype: type) -> None:
    values: NDArray[Any] = np.random.default_rng(0).standard_normal((3, 5, 7)).astype(dtype)
    one, other = histogram_of(values), histogram_of(values.transpose(2, 0, 1)[::-1])
    assert one.low == values.min() and one.high == values.max()
    np.testing.assert_array_equal(one.counts, other.counts)


def test_the_extremes_come_from_all_values() -> None:
    values: NDArray[np.float32] = np.zeros(50 * SAMPLED, np.float32)
    places = set(range(values.size)) - set(sampled(np.arange(values.size)).tolist())
    values[[min(places), max(places)]] = (-3, 7)
    histogram = histogram_of(values)
    assert (histogram.low, histogram.high, histogram.count) == (-3, 7, SAMPLED)


@pytest.mark.parametrize("shape", [(64, 256, 256), (3, 640, 640), (320, 80, 80), (100, 250)])
def test_the_sample_sees_every_column_alike(shape: tuple[int, ...]) -> None:
    places = sampled(np.arange(np.prod(shape)).reshape(shape))
    assert places.size == SAMPLED
    for axis, index in enumerate(np.unravel_index(places, shape)):
        seen = np.bincount(index, minlength=shape[axis])
        assert seen.min() > 0.7 * SAMPLED / shape[axis]


def test_infinite_values_are_told_and_not_counted() -> None:
    histogram = histogram_of(np.ones(3), np.array([np.inf]), np.ones(4))
    assert (histogram.low, histogram.high, histogram.count) == (0, np.inf, 3)


def test_methods_have_names() -> None:
    assert [method.name for method in RANGES.values()] == list(RANGES)


@by_method
@given(parts=PARTS)
def test_any_range_holds_zero_and_no_more_than_the_values(
    method: Method, parts: list[NDArray[np.float32]]
) -> None:
    histogram = histogram_of(*parts)
    low, high = method(histogram)
    assert histogram.low <= low <= 0 <= high <= histogram.high
    assert (low < high) == (histogram.low < histogram.high)


@by_method
@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros((4, 3)), -np.zeros(100_000)])
def test_a_range_of_nothing_but_zeros(method: Method, values: Float) -> None:
    assert method(histogram_of(values)) == (0.0, 0.0)


@by_method
@pytest.mark.parametrize("value", [5.0, -5.0, 0.1, -1e-20, 1e20, 4.0, -255.0])
def test_a_constant_is_kept(method: Method, value: float) -> None:
    values = np.full((2, 100), value)
    low, high = method(histogram_of(values))
    assert min(low, 0) + max(high, 0) == pytest.approx(value, rel=0.02)
    assert low == 0 or high == 0


@by_method
@pytest.mark.parametrize("power", [-130, -60, -1, 3, 100])
def test_ranges_scale_with_the_values(method: Method, power: int) -> None:
    """By powers of two exactly, from the smallest to the largest numbers of float32."""
    unit = 2.0**power
    for values in DRAWS.values():
        low, high = method(histogram_of(values))
        assert method(histogram_of(values * unit)) == (low * unit, high * unit)


@by_method
def test_values_that_the_sample_missed(method: Method) -> None:
    """A range of zero width would turn the few values that there are into zeros."""
    values = np.zeros(50 * SAMPLED)
    values[next(i for i in range(999) if i not in sampled(np.arange(values.size)))] = 7
    assert method(histogram_of(values)) == (0, 7)


@by_draw
@pytest.mark.parametrize("percent", [99.99, 99.0, 90.0, 51.0])
def test_percentiles_are_right_within_a_bin(values: Float, percent: float) -> None:
    histogram = histogram_of(*np.array_split(values, 5))
    low, high = percentile(histogram, percent)
    for end, share, bound in ((low, 100 - percent, np.minimum), (high, percent, np.maximum)):
        before, after = (np.percentile(values, share, method=way) for way in ("lower", "higher"))
        assert bound(before, 0) - histogram.width <= end <= bound(after, 0) + histogram.width


@pytest.mark.parametrize("signs", [[1, 1], [-1, -1], [1, -1]])
def test_a_percentile_does_not_clip_all_that_is_not_zero(signs: list[int]) -> None:
    values = np.append(np.zeros(16000), np.array(signs) * 3.0)
    histogram = histogram_of(values)
    assert percentile(histogram, 99) == (histogram.low, histogram.high)
    more = histogram_of(values, np.full(500, 2.0))
    assert percentile(more, 99) == pytest.approx((0, 2), abs=0.01)


def test_the_hundredth_percentile_is_the_whole_range() -> None:
    for values in DRAWS.values():
        histogram = histogram_of(values)
        assert percentile(histogram, 100) == (histogram.low, histogram.high)


@pytest.mark.parametrize("percent", [50, 0, -1, 100.1, float("nan")])
def test_percentiles_that_make_no_range(percent: float) -> None:
    with pytest.raises(OptionError, match=str(percent)):
        percentile(histogram_of(np.ones(3)), percent)


def squared_error(values: Float, low: float, high: float) -> float:
    """Of a real round trip through int8, with the scale that the range would get."""
    scale, zero_point = activation_scale(low, high)
    steps = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float(np.mean(((steps - zero_point) * scale - values) ** 2))


@by_draw
def test_mse_is_as_good_as_trying_all_ranges(values: Float) -> None:
    histogram = histogram_of(values)
    fractions = 0.9 ** np.arange(30)
    best = min(
        squared_error(values, low, high)
        for low in np.unique(histogram.low * fractions)
        for high in np.unique(histogram.high * fractions)
    )
    found = squared_error(values, *mse(histogram))
    assert found <= 1.03 * best


def divergence(counts: NDArray[np.int64], start: int, stop: int) -> float:
    """KL divergence for one range of bins, bin by bin as the method is published."""
    inside = counts[start:stop].astype(float)
    p = inside.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[stop:].sum()
    q = np.zeros(len(inside))
    bounds = [start + (stop - start) * level // 256 - start for level in range(257)]
    for first, last in pairwise(bounds):
        filled = inside[first:last] > 0
        if filled.any():
            q[first:last][filled] = inside[first:last].sum() / filled.sum()
    p /= p.sum()
    q = 0.9999 * q / max(q.sum(), 1) + 0.0001 / len(q)
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def bins_of(histogram: Histogram, low: float, high: float) -> tuple[int, int]:
    """First and last edge of the bins from low to high."""
    start = int(np.searchsorted(histogram.edges, low, "right")) - 1
    return start, int(np.searchsorted(histogram.edges, high, "left"))


@by_draw
def test_kl_is_as_good_as_trying_many_ranges(values: Float) -> None:
    histogram = histogram_of(values)
    # exact zeros are lossless, so they do not count
    counts = np.histogram(values[values != 0], histogram.edges)[0]
    zero = int(np.searchsorted(histogram.edges, 0))
    end = int(np.searchsorted(histogram.edges, histogram.high, "right"))
    random = np.random.default_rng(0)
    tried = [(0, end)]
    for _ in range(40):
        start, stop = int(random.integers(0, zero + 1)), int(random.integers(zero, end + 1))
        if stop - start >= 256:
            tried.append((start, stop))
    best = min(divergence(counts, *one) for one in tried)
    start, stop = bins_of(histogram, *kl_divergence(histogram))
    if histogram.high in histogram.edges and stop == end - 1:
        stop = end  # a range that ends at the largest value holds its bin
    assert divergence(counts, start, stop) <= best + 1e-3  # the search is not of every range


def test_kl_clips_an_outlier_and_keeps_the_rest() -> None:
    values = np.random.default_rng(0).standard_normal(16383)
    low, high = kl_divergence(histogram_of(np.append(values, 30.0)))
    assert -5 < low < -3 and 3 < high < 6
    low, high = kl_divergence(histogram_of(np.append(values, -30.0)))
    assert -6 < low < -3 and 3 < high < 5


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (-1, 5), (-7, 0), (-0.01, 1)])
def test_kl_keeps_nearly_all_of_a_uniform_distribution(low: float, high: float) -> None:
    random = np.random.default_rng(0)
    histogram = histogram_of(*(random.uniform(low, high, 10000) for _ in range(20)))
    found = kl_divergence(histogram)
    assert found[0] == pytest.approx(low, abs=0.02 * (high - low))
    assert found[1] == pytest.approx(high, abs=0.02 * (high - low))


@pytest.mark.parametrize("method", [mse, kl_divergence])
def test_zeros_change_no_range(method: Method) -> None:
    """They have a level of their own, so however many there are, no error comes of them."""
    values = np.maximum(np.random.default_rng(0).standard_normal(10000), 0)
    assert method(histogram_of(values)) == method(histogram_of(values, np.zeros(10000)))


@pytest.mark.parametrize(("mode", "is_moved"), [("nearest", True), ("linear", False)])
def test_a_resize_to_the_nearest_keeps_the_scale_of_what_it_copies(
    mode: str, is_moved: bool
) -> None:
    model = model_of(
        f"""(float[1,3,8,8] x) => (float y) {{
            a = Conv (x, w)
            y = Resize <mode = "{mode}"> (a, , scales) }}""",
        {"w": (4, 3, 1, 1), "scales": np.array([1, 1, 2, 2], np.float32)},
    )
    assert place(Graph(model)).same_as == ({"y": "a"} if is_moved else {})
