"""Where a model is to be ended is said in one text, by its family and by what quantization says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from exports import SIDE, ultralytics, with_metadata
from result_reports import PASSED, report
from rockpress.core.diagnostics import Diagnostic, mentioned, option
from rockpress.core.results.family_figure import FamilyFigure
from rockpress.pipeline.family_cut import report_with_family_cut
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from samples import pixels, save_images

ENDS = ["b0", "c0", "b1", "c1", "b2", "c2"]
HEAD = {"head": "yolov8"}
DETECTOR = FamilyFigure("a-detector", cut={"outputs": ENDS, "metric_option.head": "yolov8"})


def warning(outputs: list[str]) -> Diagnostic:
    return Diagnostic("output-parts-apart", "a join", f"is faster: {option('outputs', outputs)}")


def hint_of(given: Diagnostic, family: FamilyFigure | None) -> str:
    whole = replace(report(PASSED), targets=(replace(PASSED, warnings=(given,)),))
    shown = report_with_family_cut(whole, family)
    return shown.targets[0].warnings[0].hint


def test_a_report_says_it_as_the_family_does() -> None:
    expected = f"is faster: {option('outputs', ENDS)} {option('metric-option', HEAD)}"
    assert hint_of(warning(sorted(ENDS)), DETECTOR) == expected


def test_other_ends_and_models_of_no_family_stay() -> None:
    for outputs, family in ((ENDS[:4], DETECTOR), (sorted(ENDS), None)):
        assert hint_of(warning(outputs), family) == warning(outputs).hint
    other = replace(warning(ENDS), hint=f"give {option('outputs')} or {option('eval')}")
    assert hint_of(other, DETECTOR) == other.hint


def test_quantize_says_it_in_the_order_of_the_family(tmp_path: Path) -> None:
    model = with_metadata(ultralytics(), task="detect", stride="32", imgsz="[64, 64]")
    onnx.save(model, tmp_path / "m.onnx")
    frames = save_images(tmp_path / "f", [pixels(SIDE, SIDE, 3, seed=seed) for seed in range(12)])
    recipe = make_recipe(tmp_path / "m.onnx", calib=frames, method="min-max")
    done = quantize_file(recipe, tmp_path / "q.onnx")
    (apart,) = (each for each in done.warnings if each.code == "output-parts-apart")
    assert mentioned(apart.hint)[0] == ("outputs", ENDS)
