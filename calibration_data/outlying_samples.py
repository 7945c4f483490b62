"""Calibration samples that reach far beyond all others, such as one that was never scaled.

The ranges of int8 reach as far as the samples do: one of 255 among those up to 1 leaves all others
a single step. Images always have the same scale, so this is about arrays, fed as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from statistics import median

from ..core.diagnostics import Diagnostic
from .samples import Samples
from .sources.source_types import DerivedSource, Source, TensorSource

# a sample of the wrong scale is 127 to 65535 times what it should be; samples of the right one
# differ by less, but for a few that are louder or brighter than all others
_OVER_MEDIAN, _OVER_OTHERS = 50.0, 16.0
_OUTLYING = 0.1  # share of the samples that may lie outside: more are no mistake
_FEWEST = 3  # others, which have to be there to tell what is usual
_FULL_SCALE = 2.0  # of sound and pixels as floats, twice: loud among silence is no mistake
_NAMED = 3  # samples in a text


def outlying_samples(samples: Samples) -> Iterator[Diagnostic]:
    """Yield a warning for each input of floats of which samples reach far beyond all others.

    Their largest absolute values are compared, those of samples of zeros left out: with the median,
    and with the largest of those that are usual. Raises SamplesError for a file that is corrupt.
    """
    for name, peaks in _peaks(samples).items():
        outlying = _outlying(peaks)
        if not outlying:
            continue
        usual = max(peak for index, peak in peaks.items() if index not in outlying)
        worst = sorted(outlying, key=lambda index: -peaks[index])
        shown = ", ".join(samples.name(index) for index in worst[:_NAMED])
        more = f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
        of_input = f" of the input {name!r}" if len(samples.inputs) > 1 else ""
        reach = "reaches" if len(worst) == 1 else "reach"
        yield Diagnostic(
            "calibration-outlier",
            f"{shown}{more} {reach} {peaks[worst[0]]:.4g}{of_input}, and no other calibration "
            f"sample more than {usual:.4g}",
            "see whether the scale is that of the others, or leave it out: ranges reach as far "
            "as the samples, so the others are left few steps",
            subject=name,
        )


def _peaks(samples: Samples) -> Mapping[str, dict[int, float]]:
    """Return input -> place of a sample -> its largest absolute value."""
    source = _read_source(samples.source)
    found: dict[str, dict[int, float]] = {}
    if not isinstance(source, TensorSource):
        return found
    only = next(iter(samples.inputs))
    for index, source_index in enumerate(samples.indices):
        for name, values in source.tensors(int(source_index)).items():
            is_number = values.size > 0 and values.dtype.kind in "fiu"
            name = name if name in samples.inputs else only
            dtype = samples.types.get(name)
            if is_number and (dtype is None or dtype.kind == "f"):  # else they are indices
                peak = max(float(values.max()), -float(values.min()))
                found.setdefault(name, {})[index] = peak
    return found


def _read_source(source: Source) -> Source:
    """Return what was read: what is made of it, such as the states of a stream, follows from it."""
    return source.source if isinstance(source, DerivedSource) else source


def _outlying(peaks: Mapping[int, float]) -> set[int]:
    """Return the samples of the fewest that are larger than all others by far.

    >>> _outlying({0: 1.0, 1: 0.9, 2: 255.0, 3: 0.0, 4: 0.7})
    {2}
    """
    order = sorted(
        (index for index, peak in peaks.items() if isfinite(peak) and peak > 0),
        key=lambda index: -peaks[index],
    )
    if len(order) <= _FEWEST:
        return set()
    middle = median(peaks[index] for index in order)
    most = min(max(1, int(_OUTLYING * len(order))), len(order) - _FEWEST)
    for count in range(most, 0, -1):
        smallest, usual = peaks[order[count - 1]], peaks[order[count]]
        if smallest > max(_FULL_SCALE, _OVER_MEDIAN * middle, _OVER_OTHERS * usual):
            return set(order[:count])
    return set()
