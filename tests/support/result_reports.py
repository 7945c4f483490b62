"""Reports of results of every kind, and a program that shows them all."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rockpress.cli.phrases import command_phrase
from rockpress.cli.result_screen import ResultScreen, show_report
from rockpress.core.diagnostics import Diagnostic, option, speaking
from rockpress.core.errors import ToolkitError
from rockpress.core.results.board_comparison import BoardFigure, SimulatorFigure
from rockpress.core.results.board_figures import TimeSpread
from rockpress.core.results.layer_rows import LayerRow
from rockpress.core.results.model_figures import (
    NOTHING_COMPARED,
    AccuracyFigure,
    LatencyFigure,
    Memory,
    ModelRow,
    QuantizationFigure,
    Ratios,
    RetentionFigure,
    ThroughputFigure,
)
from rockpress.core.results.part_figures import PartFigure
from rockpress.core.results.report import GateFigure, Report, TargetReport, ToolVersion
from rockpress.core.results.sample_rows import DriftRow
from rockpress.pipeline.readable_report import rendered

RECIPE = {"model": "models/m.onnx", "scheme": "w8a8", "mixed": "auto", "recover": "least-squares"}
NEXT_REPORT = "\f"


def _npu(ms: float, cycles: int) -> tuple[LatencyFigure, ...]:
    return (LatencyFigure("npu-estimate", ms, 0.82 * ms, 1.22 * ms, cycles),)


def _form(
    stage: str, size: int, ms: float | None = None, accuracy: float | None = None
) -> ModelRow:
    runner = "rknn-simulator" if stage == "rknn" else "onnxruntime"
    return ModelRow(
        stage,
        f"rk3588/m.{stage}",
        size,
        216_714,
        14_500_288,
        _npu(ms, round(1e5 * ms)) if ms else (LatencyFigure("host", 3.1),),
        None if accuracy is None else AccuracyFigure("top1", accuracy, None, None, 400, runner),
        (ThroughputFigure(1, 900 / ms, 700 / ms, 1200 / ms, "counted"),) if ms else (),
        Memory(1_200_000, size) if ms else None,
    )


def _layer(name: str, ms: float, runs_on: str = "NPU") -> LayerRow:
    shapes = ((1, 8, 8, 8),)
    costs = (100, 200, 300)
    return LayerRow(
        1, "Conv", "INT8", runs_on, shapes, shapes, *costs, name, 9, 9, 0.0, None, ms, "compute"
    )


GATE = GateFigure("min-retention", 0.98, 0.986, True)
ALIVE = (GateFigure("outputs-alive", 0.01, 0.97, True), GateFigure("fidelity", 3, 31.2, True))
PASSED = TargetReport(
    target="rk3588",
    models=(
        _form("baseline", 3_400_000, accuracy=0.9125),
        _form("reference-float16", 4_040_000, 1.92),
        _form("quantized", 1_900_000, accuracy=0.9),
        replace(_form("rknn", 2_100_000, 1.46, 0.9), path="rk3588/m.rknn"),
    ),
    retention=RetentionFigure("top1", 0.986, 0.981, 0.992, 400, 0.97, 31.2, difference=-0.0125),
    ratios=Ratios(0.52, 0.76, 0.6, 1.0, 0.62, 0.93),
    pruning=None,
    quantization=QuantizationFigure("gptq", 24, {"gptq": 38.2, "min-max": 36.4}),
    gates=(GATE, *ALIVE),
    drift=(DriftRow("quantized", None, None, 0.9, -0.0125, 0.97, 31.2, 31.2),),
    layers=(_layer("Conv:/model.0/conv/Conv", 0.6), _layer("Conv:/model.1/conv/Conv", 0.86)),
    parts=(PartFigure("logits", "logits", 10, 31.2, 0.97, True),),
)
_FAILED = replace(
    PASSED,
    retention=replace(PASSED.retention, value=0.9111, low=0.88, high=0.94),
    gates=(GateFigure("min-retention", 0.98, 0.9111, False), *ALIVE),
    warnings=(
        Diagnostic("toolkit-fidelity", "the simulator differs from the quantized ONNX model"),
        Diagnostic("preprocess-exif", "images are turned as their EXIF data says"),
    ),
)
_UNLABELLED = replace(
    PASSED,
    retention=RetentionFigure(None, None, None, None, 60, 0.952, 31.2),
    gates=ALIVE,
    models=tuple(replace(form, accuracy=None) for form in PASSED.models),
    drift=(),
)
_DEAD = replace(
    _UNLABELLED,
    gates=(GateFigure("outputs-alive", 0.01, 0.0, False), ALIVE[1]),
    parts=(
        PartFigure("output0", "/model.22/Sigmoid_output_0", 18, 0.0, 0.0, True),
        PartFigure("output0", "boxes", 4, 31.2, 0.97, True),
    ),
    warnings=(
        Diagnostic(
            "output-range-join",
            "output0 joins values of very different range",
            f"end the model before the join: {option('outputs', ['/model.22/Mul_2', 'scores'])}",
        ),
        Diagnostic("outputs-broken", "parts of the outputs are dead", "keep more in 16 bits"),
    ),
)
_SLOWER = replace(
    PASSED,
    models=(*PASSED.models[:3], replace(_form("rknn", 4_400_000, 4.4, 0.9), path="rk3588/m.rknn")),
    ratios=Ratios(1.09, 2.29, 1.4, 1.0, 2.0, 2.6),
    warnings=(
        Diagnostic("result-slower", "estimated slower than in float16, 4.40 ms instead of 1.92"),
        Diagnostic("result-larger", "larger than in float16"),
        Diagnostic(
            "cpu-fallback-layer",
            "1 of 2 layers runs on the CPU: Concat:/model.17/Concat",
            f"end the model before it: {option('outputs', ['a'])}",
        ),
    ),
    layers=(_layer("Concat:/model.17/Concat", 2.4, "CPU"), _layer("Conv:a", 2.0)),
)
_BROKEN_BUILD = TargetReport(
    target="rk3566",
    models=(),
    retention=NOTHING_COMPARED,
    ratios=Ratios(),
    pruning=None,
    error=ToolkitError("rknn-toolkit2 crashed on /model.17/Concat", "end the model before it"),
)
_OTHER_CHIP = replace(
    PASSED,
    target="rk3576",
    models=(*PASSED.models[:3], replace(PASSED.models[3], path="rk3576/m.rknn")),
)
_DETECTOR = replace(
    PASSED,
    retention=RetentionFigure(*("map50", 0.909, 0.85, 0.95, 21, 0.952, 24.1), difference=-0.05),
    gates=ALIVE,
    warnings=(
        Diagnostic(
            "retention-too-few-samples",
            "21 samples are few: retention is between 85.0 and 95.0%",
            f"give more with {option('eval')}",
        ),
    ),
)


_TIMES = TimeSpread(p50=1.71, p90=1.74, p99=2.02, n=150)
_SIMULATED = SimulatorFigure(
    *(0.9, 0.986, 0.981, 0.992),
    agreement=0.9925,
    sqnr_db=33.4,
    parts=PASSED.parts,
    is_rounding=True,
)
ON_BOARD = replace(
    PASSED,
    models=(
        *PASSED.models[:3],
        replace(
            PASSED.models[3],
            latency=(LatencyFigure("board", _TIMES.p50), *PASSED.models[3].latency),
            accuracy=AccuracyFigure("top1", 0.8975, None, None, 400, "board"),
        ),
    ),
    retention=replace(PASSED.retention, value=0.9836, low=0.978, high=0.9905),
    gates=(
        GateFigure("min-retention", 0.98, 0.9836, True, kind="board"),
        GateFigure("max-latency-ms", 1.8, 1.71, True, kind="board"),
        *ALIVE,
    ),
    board=BoardFigure(
        *("Orange Pi 5", "rk3588", "2.3.2", "0.9.8"), _TIMES, is_settled=True, simulator=_SIMULATED
    ),
)


def report(*targets: TargetReport, **recipe: object) -> Report:
    """Return a report of these targets, as a command says it."""
    tools = ToolVersion("rockpress", "0.1.0"), ToolVersion("rknn-toolkit2", "2.5.0")
    with speaking(command_phrase):
        return rendered(Report(*tools, {**RECIPE, **recipe}, targets), "run")


REPORTS = {
    "pass": report(PASSED),
    "fail": report(_FAILED),
    "no-gate": report(replace(PASSED, gates=ALIVE)),
    "no-labels": report(_UNLABELLED),
    "dead": report(_DEAD),
    "slower": report(_SLOWER),
    "detector": report(_DETECTOR),
    "board": report(ON_BOARD),
    "several": report(_FAILED, _BROKEN_BUILD, _OTHER_CHIP),
}


def show_all() -> None:
    """Show all of them on stdout, a form feed after each; warnings count as shown."""
    for shown in REPORTS.values():
        warnings = {(each.code, each.text) for one in shown.targets for each in one.warnings}
        screen = ResultScreen(folder=Path("build"), shown=frozenset(warnings))
        with speaking(command_phrase):
            show_report(shown, screen)
        sys.stdout.write(NEXT_REPORT)


if __name__ == "__main__":
    # where a run has left the programs for the board
    with TemporaryDirectory() as place:
        os.chdir(place)
        use = Path("build/rk3588/m-board/README.md")
        use.parent.mkdir(parents=True)
        use.touch()
        show_all()
