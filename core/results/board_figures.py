"""What a board says of itself, and what was measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from ..types import Array

# said with whatever a board gave, so that nobody takes for tried what ran on a stand-in alone
UNTRIED = "rockpress's way to a board is not yet run on silicon by us"


@dataclass(frozen=True)
class ClockReading:
    """A clock of the board: its governor, and its frequency now and at most in Hz.

    All are None where the board does not let them be read, as are the figures below.
    """

    name: str
    governor: str | None = None
    hz: int | None = None
    max_hz: int | None = None

    @property
    def is_below_maximum(self) -> bool:
        """Whether it is known to be slower than it could be."""
        return self.hz is not None and self.max_hz is not None and self.hz < self.max_hz


@dataclass(frozen=True)
class PowerReading:
    """What a sensor of the board measures, in watts."""

    sensor: str
    watts: float


@dataclass(frozen=True)
class DeviceNode:
    """A file of the driver, and whether this user may open it."""

    path: str
    is_usable: bool


@dataclass(frozen=True)
class BoardConditions:
    """The state of the board at one moment: clocks, temperatures in °C, load in percent, power.

    ``npu_load`` is that of the busiest core.
    """

    npu: ClockReading | None = None
    cpu: tuple[ClockReading, ...] = ()
    ddr: ClockReading | None = None
    npu_load: float | None = None
    temperatures: Mapping[str, float] = field(default_factory=dict)
    power: tuple[PowerReading, ...] = ()


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself; None is what cannot be read there.

    ``compatible`` is of its device tree, ``chip`` the Rockchip chip in it, such as rk3588.
    ``runtime`` is the version of librknnrt.so, ``toolkit_lite`` that of rknn-toolkit-lite2.
    ``clocks_put_back`` are governors that an earlier measurement had left set when it was killed,
    with what they were and are again; ``clocks_left`` those that could not be put back.
    """

    python: str
    board: str | None = None
    chip: str | None = None
    compatible: tuple[str, ...] = ()
    kernel: str | None = None
    arch: str | None = None
    runtime: str | None = None
    runtime_path: str | None = None
    driver: str | None = None
    toolkit_lite: str | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    devices: tuple[DeviceNode, ...] = ()
    conditions: BoardConditions = BoardConditions()
    clocks_put_back: tuple[str, ...] = ()
    clocks_left: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardTensor:
    """An input or output as the runtime has it; ``size`` in bytes.

    ``type`` is int8, uint8, float16 ..., ``format`` NCHW, NHWC, NC1HWC2 or UNDEFINED. A real value
    is (stored value - zero_point) * scale where these are given.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    type: str
    size: int
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class BoardMemory:
    """Bytes that a model takes on the board, as the runtime says."""

    weight_bytes: int
    internal_bytes: int
    dma_bytes: int


@dataclass(frozen=True)
class LoadedModel:
    """A model in the memory of the board."""

    inputs: tuple[BoardTensor, ...]
    outputs: tuple[BoardTensor, ...]
    init_ms: float
    api_version: str | None = None
    driver_version: str | None = None
    memory: BoardMemory | None = None


@dataclass(frozen=True)
class BoardOutput:
    """One output as the board gave it: in float32, or as stored with its scale and zero point."""

    array: Array
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class TimeSpread:
    """The percentiles of ``n`` times in ms."""

    p50: float
    p90: float
    p99: float
    n: int


@dataclass(frozen=True)
class ContextRate:
    """Frames a second, inputs and outputs included, of so many contexts on so many cores at once.

    ``run_ms`` is the median time of one inference meanwhile. ``problem`` is why there is none.
    """

    contexts: int
    cores: int
    fps: float | None = None
    run_ms: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class EnergyFigure:
    """What one inference takes by a sensor of the board, without what the idle board takes."""

    sensor: str
    idle_watts: float
    busy_watts: float
    millijoules: float


@dataclass(frozen=True)
class MemoryDrift:
    """By how much the process grew on the board over so many runs, in bytes a run."""

    runs: int
    bytes_per_run: float


@dataclass(frozen=True)
class BoardTimings:
    """What ``bench`` measured of a model.

    ``rounds`` are the times of rknn_run in ms, each round apart; ``npu_ms`` are those that the
    runtime tells itself, () where it does not. ``agrees`` is whether the medians of the last three
    rounds are within 2 % of each other. ``is_throttled`` is whether the NPU was slower at any time
    than when the runs began; None where its clock cannot be read.
    """

    first_run_ms: float
    rounds: tuple[tuple[float, ...], ...]
    npu_ms: tuple[float, ...]
    set_ms: TimeSpread
    get_ms: TimeSpread
    agrees: bool
    before: BoardConditions
    after: BoardConditions
    during: tuple[BoardConditions, ...] = ()
    is_throttled: bool | None = None
    contexts: tuple[ContextRate, ...] = ()
    energy: tuple[EnergyFigure, ...] = ()
    drift: MemoryDrift | None = None

    @property
    def run_ms(self) -> tuple[float, ...]:
        """All times of rknn_run in ms."""
        return tuple(ms for times in self.rounds for ms in times)

    @property
    def run(self) -> TimeSpread:
        """The percentiles of rknn_run."""
        return spread_of(self.run_ms)

    @property
    def npu(self) -> TimeSpread | None:
        """The percentiles of what the runtime tells of rknn_run itself."""
        return spread_of(self.npu_ms) if self.npu_ms else None


@dataclass(frozen=True)
class BoardLayer:
    """A row of the runtime's own table: what a layer took in microseconds, on NPU or CPU."""

    index: int
    op: str
    dtype: str
    runs_on: str
    us: float
    name: str
    total_cycles: int | None = None


def spread_of(times: tuple[float, ...]) -> TimeSpread:
    """Return the percentiles of times in ms, of which there is at least one.

    >>> spread_of((1.0, 2.0, 4.0))
    TimeSpread(p50=2.0, p90=4.0, p99=4.0, n=3)
    """
    ordered = sorted(times)
    last = len(ordered) - 1
    ninety, most = (ordered[min(last, int(part * len(ordered)))] for part in (0.9, 0.99))
    return TimeSpread(median(ordered), ninety, most, len(ordered))
