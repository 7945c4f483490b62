"""What a conversion is asked for by the options: shared by ``run`` and the single commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...convert.handover import Sample
from ...convert.request import ConversionRequest, ToolkitSettings
from ..options.convert_options import ToolkitOptions


@dataclass(frozen=True)
class NpuFeeds:
    """What the NPU is fed of ``samples``, one at a time, or whole batches of them."""

    samples: Samples

    def __iter__(self) -> Iterator[Sample]:
        samples = self.samples.grouped()
        return (samples.npu_feeds(index) for index in range(len(samples)))

    def digest(self) -> str:
        """Return the digest of the samples, which decide it."""
        return self.samples.digest()


@dataclass(frozen=True)
class PreparedFeeds:
    """What a model without mean and std inside is fed of ``samples``: prepared values."""

    samples: Samples

    def __iter__(self) -> Iterator[Sample]:
        samples = self.samples.grouped()
        return (samples.feeds(index) for index in range(len(samples)))

    def digest(self) -> str:
        """Return the digest of the samples, which decide it."""
        return self.samples.digest()


def conversion_request(
    options: ToolkitOptions,
    model: Path,
    output: Path | None,
    target: Target,
    preprocess: Preprocess | None,
) -> ConversionRequest:
    """Return the request to convert a file the way that it says itself, as ``options`` limit it.

    With a ``preprocess`` the result takes pixels, mean and std inside, else tensors.
    """
    return ConversionRequest(
        model,
        output,
        target.name,
        mean=preprocess.mean if preprocess else None,
        std=preprocess.std if preprocess else None,
        config=options.toolkit_config,
        toolkit=toolkit_settings(options),
    )


def toolkit_settings(options: ToolkitOptions) -> ToolkitSettings:
    """Return what the options say of how the toolkit is run."""
    return ToolkitSettings(
        options.toolkit_python, options.timeout, options.memory_limit, options.processes
    )
