"""The values of a comparison: each result, what it is against the first, and the layers."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core.diagnostics import Diagnostic
from ...core.results.layer_rows import LayerRow
from ...core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    Memory,
    RetentionFigure,
    ThroughputFigure,
)

SCHEMA = 1


@dataclass(frozen=True)
class ComparedResult:
    """A target of a report, or a ``.rknn``, by what is shown of it; None where that is not known.

    ``name`` tells it from the others, ``model`` is its file's without the suffix, ``link`` a page
    of its own. ``digest`` is that of the model that was given, ``original_bytes`` its size,
    ``origin`` the digest of the float model that it was made from, ``samples`` the set that it was
    measured on, and ``memory`` what it takes on the chip. A result that failed has an ``error``,
    and a ``.rknn`` no ``verdict``: no gate was asked of it.
    """

    name: str
    file: str
    model: str
    target: str | None
    scheme: str | None = None
    toolkit: str | None = None
    samples: str | None = None
    verdict: str | None = None
    verdict_text: str | None = None
    error: str | None = None
    bytes: int | None = None
    original_bytes: int | None = None
    digest: str | None = None
    origin: str | None = None
    parameters: int | None = None
    macs: int | None = None
    cycles: int | None = None
    latency: LatencyFigure | None = None
    throughput: tuple[ThroughputFigure, ...] = ()
    accuracy: AccuracyFigure | None = None
    retention: RetentionFigure | None = None
    memory: Memory | None = None
    link: str | None = None

    @property
    def ms(self) -> float | None:
        """The milliseconds, if the NPU's or a board's: those of a host are no figure of it."""
        latency = self.latency
        return None if latency is None or latency.kind == "host" else latency.ms


@dataclass(frozen=True)
class AgainstFirst:
    """A result over the first; None where the two cannot be compared in that.

    Nine of ten true ratios lie between ``latency_low`` and ``latency_high``. The differences are
    this result's minus the first's. ``..._told_apart`` is whether the interval leaves out 1, or
    whether the 95 % intervals of the two accuracies leave each other out.
    """

    name: str
    size: float | None = None
    cycles: float | None = None
    latency: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    latency_told_apart: bool | None = None
    accuracy: float | None = None
    accuracy_told_apart: bool | None = None
    retention: float | None = None


@dataclass(frozen=True)
class LayerChange:
    """A layer of two builds, joined by its name; None in the one that does not have it.

    ``ms`` are None on a chip without a fit.
    """

    name: str
    op: str
    dtype_before: str | None
    dtype_after: str | None
    ms_before: float | None
    ms_after: float | None
    cycles_before: int | None
    cycles_after: int | None

    @property
    def ms(self) -> float | None:
        """What it takes more than before; None where no time is known."""
        if self.ms_before is None and self.ms_after is None:
            return None
        return (self.ms_after or 0.0) - (self.ms_before or 0.0)

    @property
    def cycles(self) -> int:
        """The cycles that it takes more than before."""
        return (self.cycles_after or 0) - (self.cycles_before or 0)


@dataclass(frozen=True)
class SideBySide:
    """Results side by side: the first is what the others are ``against``.

    ``layers`` are those that changed, the dearest change first, where there are two builds of one
    network for one chip. ``front`` has the names of those than which no other is both faster and
    more accurate, of all that can be compared in both.
    """

    results: tuple[ComparedResult, ...]
    against: tuple[AgainstFirst, ...]
    layers: tuple[LayerChange, ...] = ()
    front: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    schema: int = field(default=SCHEMA)


@dataclass(frozen=True)
class OpenedResult:
    """A result with the layers that it was built into."""

    result: ComparedResult
    layers: tuple[LayerRow, ...] = ()
