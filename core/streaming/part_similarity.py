"""How close the outputs of two models are, part by part."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..graphs.output_parts import OutputPart, whole_outputs
from ..results.part_figures import PartFigure, worst_part
from ..similarity import in_db, sums_of
from ..types import Array, Float64

# Deviations below this share of the values are none: int8 has hardly a step as small.
_LEAST_DEVIATION = 0.01
# Larger outputs are not followed place by place, which takes four float64 a value.
_MOST_PLACES = 1 << 22
# A sample is loud when its norm is so many dB over the median one's: 30 dB are 32 times.
_LOUD_DB = 30.0
# A median of fewer samples is one sample's chance; and fewer values are near 0 together by chance.
_FEWEST_SAMPLES = 5
_FEWEST_VALUES = 4


def compared(
    parts: Sequence[OutputPart], reference: Sequence[Array], candidate: Sequence[Array]
) -> tuple[PartFigure, ...]:
    """Return the figures of outputs (samples, ...) of two models; without parts, of each output."""
    meter = PartMeter(parts or whole_outputs([f"output {n}" for n in range(len(reference))]))
    for rows in zip(zip(*reference, strict=True), zip(*candidate, strict=True), strict=True):
        meter.add(*rows)
    return meter.figures


class PartMeter:
    """Compares two models' outputs part by part, sample by sample, in two numbers of each.

    >>> meter = PartMeter(whole_outputs(["y"]))
    >>> meter.add([np.array([3.0, 4.0])], [np.array([3.0, 4.5])])
    >>> round(meter.db, 6)
    20.0
    """

    def __init__(self, parts: Sequence[OutputPart]) -> None:
        self._parts = parts
        self._sums = [_PartSums() for _ in parts]

    def add(self, reference: Sequence[Array], candidate: Sequence[Array]) -> None:
        """Take in the outputs of one sample. Raises ValueError when their numbers differ."""
        if len(reference) != len(candidate):
            raise ValueError(f"{len(reference)} outputs cannot be compared with {len(candidate)}")
        for part, sums in zip(self._parts, self._sums, strict=True):
            sums.add(part.of(reference[part.output]), part.of(candidate[part.output]))

    @property
    def figures(self) -> tuple[PartFigure, ...]:
        """The figures of every part, over the samples so far."""
        return tuple(
            PartFigure(
                output=part.output_name,
                part=part.name,
                values=sums.values,
                sqnr_db=in_db(sums.signal, sums.noise),
                variance_ratio=sums.variance_ratio(part.least_range),
                finite=sums.finite,
                ranked=part.is_ranked,
                distinct_db=sums.distinct_db,
                median_sqnr_db=sums.median_db(part.least_range > 0),
            )
            for part, sums in zip(self._parts, self._sums, strict=True)
        )

    @property
    def db(self) -> float:
        """SQNR in dB of the worst part."""
        return worst_part(self.figures).sqnr_db


@dataclass
class _Moments:
    """Count, sums and sums of squares of both models' values, of one place or of many."""

    count: int = 0
    totals: Float64 = field(default_factory=lambda: np.zeros(2))
    squares: Float64 = field(default_factory=lambda: np.zeros(2))

    def variances(self) -> Float64:
        """Return the variance of the reference and of the candidate, the mean over places."""
        spread = self.squares / self.count - np.square(self.totals / self.count)
        variances: Float64 = np.maximum(spread.reshape(2, -1).mean(1), 0.0)
        return variances


class _PartSums:
    """What is summed up of one part."""

    def __init__(self) -> None:
        self.signal = self.noise = 0.0
        self.values = 0
        self.finite = True
        self._ends = (math.inf, -math.inf)
        self._all = _Moments()
        self._samples: list[tuple[float, float]] = []
        self._places: _Moments | None = None

    def add(self, reference: Array, candidate: Array) -> None:
        wide, other = reference.astype(np.float64), candidate.astype(np.float64)
        signal, noise = sums_of(wide, other)
        self.signal, self.noise, self.values = self.signal + signal, self.noise + noise, wide.size
        if 2 * np.count_nonzero(wide) >= max(1, wide.size):
            self._samples.append((signal, noise))
        sound = np.isfinite(wide)
        self.finite = self.finite and bool(np.isfinite(other[sound]).all())
        if not (sound.all() and self.finite and wide.size):
            return
        both = np.stack([wide, other])
        self._ends = min(self._ends[0], wide.min()), max(self._ends[1], wide.max())
        self._all.count += wide.size
        self._all.totals += both.sum(1)
        self._all.squares += np.square(both).sum(1)
        if wide.size <= _MOST_PLACES:
            self._add_places(both)

    def _add_places(self, both: Float64) -> None:
        if self._places is None:
            self._places = _Moments(0, np.zeros(both.shape), np.zeros(both.shape))
        self._places.count += 1
        self._places.totals += both
        self._places.squares += np.square(both)

    @property
    def distinct_db(self) -> float | None:
        """What differs between samples over the noise, in dB; None where it is hardly anything."""
        places = self._places
        if places is None or places.count < 2:
            return None
        before, _ = places.variances()
        if before <= _LEAST_DEVIATION**2 * self._all.squares[0] / self._all.count:
            return None
        return in_db(float(before) * self._all.count, self.noise)

    def median_db(self, is_probability: bool) -> float | None:
        """Return the median of each sample's own SQNR in dB where loud samples hide it, or None.

        Samples that are mostly zeros in the baseline are left out. What lies within 0 and 1 has no
        loud samples: near 0 it says that nothing is there, as a detector does of most frames.
        """
        within = is_probability or (self._ends[0] >= 0 and self._ends[1] <= 1)
        if within or len(self._samples) < _FEWEST_SAMPLES or self.values < _FEWEST_VALUES:
            return None
        signals = [signal for signal, _ in self._samples]
        if in_db(max(signals), statistics.median_low(signals)) < _LOUD_DB:
            return None
        return statistics.median_low(in_db(*pair) for pair in self._samples)

    def variance_ratio(self, least_range: float) -> float | None:
        """Return candidate over reference, the lesser of all values and of place by place."""
        if not self._all.count or self._ends[1] - self._ends[0] < least_range:
            return None
        energy = self._all.squares[0] / self._all.count
        several = self._places is not None and self._places.count > 1
        ratios = []
        for moments in [self._all, *([self._places] if several and self._places else [])]:
            before, after = moments.variances()
            if before > _LEAST_DEVIATION**2 * energy:
                ratios.append(float(after / before))
        return min(ratios, default=None)
