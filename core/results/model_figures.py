"""Figures of one form of the model, and of the result against the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LatencyScale:
    """What the estimate was multiplied by: measured over estimated, the mean of some ``models``.

    ``spread`` is by what factor the one that differs most from the mean does.
    """

    factor: float
    models: int
    spread: float = 1.0


@dataclass(frozen=True)
class LatencyFigure:
    """One latency in ms with its band.

    ``kind`` is npu-estimate (of the NPU alone), application-estimate (with the conversion of inputs
    and outputs), host, board, or given (of the NPU alone: what the user says that the very file
    took). Nine of ten models lie between ``low`` and ``high`` of an estimate.
    One for a chip with nothing to fit on has cycles but no milliseconds, unless models that were
    measured give its ``scale``. ``program`` is the language of the application: one in C gets the
    outputs as they are, one in Python in float32.
    """

    kind: str
    ms: float | None
    low: float | None = None
    high: float | None = None
    cycles: int | None = None
    scale: LatencyScale | None = None
    program: str | None = None


@dataclass(frozen=True)
class ThroughputFigure:
    """Frames a second in an application with so many contexts, each on a core of its own.

    Nine of ten models lie between ``low`` and ``high``. ``basis`` is counted where others have
    counted what as many contexts gain, and else interpolated.
    """

    contexts: int
    fps: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class AccuracyFigure:
    """A metric's value on so many samples; ``runner`` is onnxruntime, rknn-simulator or board."""

    metric: str
    value: float
    low: float | None
    high: float | None
    samples: int
    runner: str


@dataclass(frozen=True)
class Memory:
    """Bytes on the chip while a model runs, by the compiler: for feature maps, and for weights.

    Those of the weights include the commands for the NPU.
    """

    internal_bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class ModelRow:
    """One form of the model along the chain; what a board took comes first in ``latency``."""

    stage: str
    path: str | None
    bytes: int
    parameters: int | None = None
    macs: int | None = None
    latency: tuple[LatencyFigure, ...] = ()
    accuracy: AccuracyFigure | None = None
    throughput: tuple[ThroughputFigure, ...] = ()
    memory: Memory | None = None

    @property
    def cycles(self) -> int | None:
        """The compiler's cycles, when this form was compiled."""
        cycles = (figure.cycles for figure in self.latency if figure.cycles is not None)
        return next(cycles, None)

    @property
    def predicted(self) -> LatencyFigure | None:
        """The first latency that is not a board's, as other forms of the model have it too."""
        return next((figure for figure in self.latency if figure.kind != "board"), None)


@dataclass(frozen=True)
class RetentionFigure:
    """What is left of the baseline; ``value`` is None without labels.

    ``outputs`` are those that the metric reads, () for all. ``mcnemar`` is a p-value.
    """

    metric: str | None
    value: float | None
    low: float | None
    high: float | None
    samples: int
    agreement: float | None
    sqnr_db: float
    outputs: tuple[str, ...] = ()
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    mcnemar: float | None = None


# of a target that failed: nothing was compared
NOTHING_COMPARED = RetentionFigure(None, None, None, None, 0, None, math.nan)


@dataclass(frozen=True)
class Ratios:
    """The result over what it is compared with; None where one of the two is unknown.

    ``latency_low`` and ``latency_high`` are the band of ``latency``, where that is estimated: nine
    of ten true ratios lie there.
    """

    size: float | None = None
    latency: float | None = None
    cycles: float | None = None
    macs: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None


@dataclass(frozen=True)
class TradeoffFigure:
    """So many tensors in 16 bits: estimated cycles over the int8 model's, and SQNR in dB.

    Where every choice was built and timed, ``latency_ratio`` and the estimated ``ms`` are instead
    of ``cycles_ratio``; in w4a16, where they are weights, ``size_ratio`` (of all, over int8's).
    """

    floating: int
    cycles_ratio: float | None
    sqnr_db: float
    size_ratio: float | None = None
    latency_ratio: float | None = None
    ms: float | None = None

    @property
    def cost(self) -> tuple[float | None, str]:
        """The ratio that is known, and of what: latency, cycles or size.

        It is None where the toolkit did not build what should have been timed.
        """
        if self.latency_ratio is not None:
            return self.latency_ratio, "latency"
        if self.cycles_ratio is not None:
            return self.cycles_ratio, "cycles"
        return self.size_ratio, "latency" if self.size_ratio is None else "size"


@dataclass(frozen=True)
class TrainingFigure:
    """The effect of training on a quantized model, measured on samples that were held out.

    ``sqnr_*`` is over all of these in dB, like that of the methods; ``loss_*`` is what was trained
    for, 0 for the outputs of the float model. The trained weights are ``kept`` only if they are
    better by more than chance, sample by sample. ``samples`` were trained on, ``held_out`` were
    not.
    """

    kept: bool
    sqnr_before: float
    sqnr_after: float
    loss_before: float
    loss_after: float
    steps: int
    seconds: float
    samples: int
    held_out: int


@dataclass(frozen=True)
class QuantizationFigure:
    """The method that was taken, and the SQNR of each that was compared on held-out samples.

    ``tradeoffs`` are the choices of mixed precision that were tried, and ``floating`` how many
    tensors stay in ``wide`` (float16 or int16) in the one that was taken. With labels, ``scores``
    has the ``metric`` of each method; ``chosen_by`` names what decided: sqnr, the
    metric, or user where the method was asked for. ``fallback`` is the toolkit's quantizer that
    made the ``.rknn`` instead, where it did not build the model as it was quantized: hybrid, in the
    ranges of the method, or normal. ``training`` is what that did, if it was asked for.
    """

    method: str
    held_out: int
    candidates: dict[str, float]
    floating: int = 0
    tradeoffs: tuple[TradeoffFigure, ...] = ()
    metric: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    chosen_by: str = "sqnr"
    wide: str = "float16"
    fallback: str | None = None
    training: TrainingFigure | None = None
