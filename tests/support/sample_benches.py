"""What ``bench`` found on a board that was played: every part of it is there."""

from __future__ import annotations

from rockpress.core.diagnostics import Diagnostic
from rockpress.core.results.bench_figures import BenchedModel, BoardBench, MeasuredLayer
from rockpress.core.results.board_figures import (
    BoardConditions,
    BoardFacts,
    BoardMemory,
    BoardTensor,
    BoardTimings,
    ClockReading,
    ContextRate,
    DeviceNode,
    EnergyFigure,
    LoadedModel,
    MemoryDrift,
    PowerReading,
    TimeSpread,
)
from rockpress.core.results.model_figures import LatencyFigure

_STATE = BoardConditions(
    npu=ClockReading("fdab0000.npu", "rknpu_ondemand", 10**9, 10**9),
    cpu=(ClockReading("policy0", "ondemand", 1_800_000_000, 1_800_000_000),),
    ddr=ClockReading("dmc", "dmc_ondemand", 2_112_000_000, 2_112_000_000),
    npu_load=7.0,
    temperatures={"npu-thermal": 41.5},
    power=(PowerReading("ina226 power1", 1.0),),
)
_ROUND = tuple([1.22] * 80 + [3.86] * 18 + [7.85] * 2)
_TIMINGS = BoardTimings(
    first_run_ms=18.64,
    rounds=(_ROUND,) * 3,
    npu_ms=(1.2,) * 300,
    set_ms=TimeSpread(0.016, 0.02, 0.04, 300),
    get_ms=TimeSpread(0.049, 0.07, 0.1, 300),
    agrees=True,
    before=_STATE,
    after=_STATE,
    during=(_STATE,),
    is_throttled=False,
    contexts=(
        ContextRate(1, 1, 539.0, 1.22),
        ContextRate(2, 2, 963.0, 1.23),
        ContextRate(3, 3, 1140.0, 1.25),
    ),
    energy=(EnergyFigure("ina226 power1", 1.0, 2.5, 2.7),),
    drift=MemoryDrift(200, 30.0),
)
BENCH = BoardBench(
    model=BenchedModel("net", 320_263, "ab" * 32, "rk3588", "2.5.0", "qdq"),
    date="2026-11-28",
    board=BoardFacts(
        python="3.11.2",
        board="Stand-in Board",
        chip="rk3588",
        compatible=("maker,stand-in", "rockchip,rk3588"),
        kernel="6.1.0",
        arch="aarch64",
        runtime="2.3.2",
        runtime_path="/usr/lib/librknnrt.so",
        driver="0.9.8",
        memory_bytes=8_192_000_000,
        available_bytes=6_144_000_000,
        devices=(DeviceNode("/dev/dri/renderD129", True),),
        conditions=_STATE,
    ),
    loaded=LoadedModel(
        inputs=(BoardTensor("images", (1, 28, 28, 1), "NHWC", "int8", 784, 0.00392, -128),),
        outputs=(BoardTensor("logits", (1, 10), "UNDEFINED", "int8", 10, 0.5, 3),),
        init_ms=6.92,
        api_version="2.3.2",
        driver_version="0.9.8",
        memory=BoardMemory(300_000, 200_000, 700_000),
    ),
    run=_TIMINGS.run,
    npu=_TIMINGS.npu,
    timings=_TIMINGS,
    estimate=LatencyFigure("npu-estimate", 0.22, 0.18, 0.27, 24_752),
    ratio=1.22 / 0.22,
    layers=(MeasuredLayer("Conv:stem", "ConvRelu", "NPU", 41.0, 11.0),),
    layers_ratio=41 / 11,
    warnings=(Diagnostic("board-busy", "something else used the NPU", "end it"),),
)
