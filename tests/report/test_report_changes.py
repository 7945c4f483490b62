"""A run against the report of an earlier one: what changed, and gates on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from rockpress.cli import main
from rockpress.cli.handler import run
from rockpress.core.errors import OptionError, ReportError, RockpressError
from rockpress.core.results.model_figures import (
    LatencyFigure,
    LatencyScale,
    ModelRow,
    Ratios,
    RetentionFigure,
)
from rockpress.core.results.report import Report, TargetReport, ToolVersion
from rockpress.pipeline.figures.last_release import (
    open_last_release,
    require_comparable,
    with_changes,
)
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.report.documents.document import to_document, to_json
from rockpress.report.formats import md, xml
from rockpress.report.text.changes import changes_since, worse_by
from rockpress.report.text.table import to_tables

NPU = LatencyFigure("npu-estimate", 2.0, 1.8, 2.2, 100_000)
RECIPE: dict[str, Any] = {"model": "a/m.onnx", "eval": "e", "eval_count": None, "metric": "top1"}


def target(
    *, name: str = "rk3588", size: int = 1000, npu: LatencyFigure = NPU, kept: float | None = 0.99
) -> TargetReport:
    retention = RetentionFigure("top1", kept, 0.98, 1.0, 400, 0.99, 25.0)
    models = (ModelRow("rknn", None, size, latency=(npu,)),)
    return TargetReport(name, models, retention, Ratios(size=0.5), None)


def report(*targets: TargetReport) -> Report:
    return Report(
        ToolVersion("rockpress", "0.1.0"),
        ToolVersion("rknn-toolkit2", "2.5.0"),
        RECIPE,
        targets,
    )


def written(folder: Path, old: Report) -> Path:
    file = folder / "old.json"
    file.write_text(to_json(old))
    return file


def compared(
    folder: Path, old: Report, new: Report, limits: dict[str, float] | None = None
) -> Report:
    recipe = make_recipe(
        Path("m.onnx"),
        eval=Path("e"),
        baseline=written(folder, old),
        max_regression=limits or {},
    )
    last = open_last_release(recipe)
    require_comparable(last, recipe, [one.target for one in new.targets])
    return with_changes(new, recipe, last)


NEW = target(size=1100, npu=replace(NPU, ms=1.9, cycles=103_000), kept=0.98)


def test_changes_are_told_in_every_format(tmp_path: Path) -> None:
    found = compared(tmp_path, report(target()), report(NEW))
    (one,) = found.targets
    assert [(change.name, round(change.change, 4)) for change in one.changes] == [
        ("size", 0.1),
        ("cycles", 0.03),
        ("latency", -0.05),
        ("retention", -0.0101),
    ]
    told = (
        "size 1.0 kB to 1.1 kB (+10.0%, worse), cycles 100.0 k to 103.0 k (+3.0%, worse), latency "
        "2.00 ms to 1.90 ms (-5.0%, better), retention 99.0% to 98.0% (-1.0%, worse)"
    )
    assert f"since {tmp_path / 'old.json'}: {told}" in to_tables(found)[0].asked
    assert "| latency | 2.00 ms | 1.90 ms | -5.0%, better |" in md.render(found)
    document = to_document(found)
    assert document["baseline"] == {
        "file": str(tmp_path / "old.json"),
        "verdict": "none",
        "tool": {"name": "rockpress", "version": "0.1.0"},
        "toolkit": {"name": "rknn-toolkit2", "version": "2.5.0"},
    }
    change = document["targets"][0]["changes"][1]
    assert change == {"name": "cycles", "before": 1e5, "after": 103e3, "change": 103e3 / 1e5 - 1}
    assert one.warnings == () and found.passed


def test_changes_are_not_told_without_an_old_report() -> None:
    document = to_document(report(target()))
    assert "baseline" not in document and "changes" not in document["targets"][0]
    assert "since" not in md.render(report(target()))


def test_the_same_again_is_no_change(tmp_path: Path) -> None:
    found = compared(tmp_path, report(target()), report(target()), {"size": 0, "retention": 0})
    assert found.passed
    assert "| size | 1.0 kB | 1.0 kB | +0.0% |" in md.render(found)


def test_gates_on_regressions(tmp_path: Path) -> None:
    limits = {"size": 0.1, "cycles": 0.02, "latency": 0.0, "retention": 0.005}
    found = compared(tmp_path, report(target()), report(NEW), limits)
    gates = {gate.name: gate for gate in found.targets[0].gates}
    assert {name: gate.passed for name, gate in gates.items()} == {
        "max-regression-size": True,
        "max-regression-cycles": False,
        "max-regression-latency": True,
        "max-regression-retention": False,
    }
    assert gates["max-regression-latency"].value == pytest.approx(-0.05)
    assert not found.passed
    assert '<failure type="gate" message="max-regression-cycles 2% does not' in xml.render(found)


def test_figures_that_one_report_lacks_are_left_out() -> None:
    host = target(npu=LatencyFigure("host", 5.0))
    assert [change.name for change in changes_since(host, NEW)] == ["size", "retention"]
    assert [change.name for change in changes_since(target(), host)] == ["size", "retention"]
    assert "retention" not in [change.name for change in changes_since(target(kept=None), NEW)]
    assert changes_since(replace(target(), models=()), NEW) == ()


def test_runs_that_differ_in_more_than_the_model_are_told(tmp_path: Path) -> None:
    old = replace(
        report(target()),
        tool=ToolVersion("rockpress", "0.0.9"),
        toolkit=ToolVersion("rknn-toolkit2", "2.3.2"),
        recipe={**RECIPE, "model": "b/other.onnx", "eval_count": 100, "metric": "macro-f1"},
    )
    found = compared(tmp_path, old, report(NEW, target(name="rk3566")))
    codes = [[one.code for one in each.warnings] for each in found.targets]
    differing = ["baseline-model", "baseline-toolkit", "baseline-version", "baseline-samples"]
    assert codes == [differing, [*differing, "baseline-target"]]
    texts = " ".join(one.text for one in found.targets[1].warnings)
    for part in (
        "other.onnx, not m.onnx",
        "2.3.2, this with 2.5.0",
        "0.0.9, this",
        "metric was macro-f1",
    ):
        assert part in texts
    assert "rk3566" in texts


def test_a_latency_of_another_scale_is_told(tmp_path: Path) -> None:
    scaled = target(npu=replace(NPU, scale=LatencyScale(1.18, 1)))
    for old, codes in ((target(), ["baseline-scale"]), (scaled, [])):
        (one,) = compared(tmp_path, report(old), report(scaled)).targets
        assert [warning.code for warning in one.warnings] == codes
    assert ", NPU alone, scaled by 1.18 from 1 measured model" in "\n".join(
        to_tables(report(scaled))[0].details
    )


def test_a_target_that_failed_has_no_changes(tmp_path: Path) -> None:
    failed = replace(target(), models=(), error=RockpressError("no"))
    found = compared(tmp_path, report(target()), report(failed), {"size": 0.1})
    assert found.targets == (failed,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "not a report"),
        (b"\xff\xfe", "not a report"),
        (b"[" * 100_000, "not a report"),
        (b"[]", "it has no schema"),
        (b'{"targets": []}', "it has no schema"),
        (b'{"schema": 2, "targets": []}', "a report of schema 2, this rockpress reads 1"),
        (b'{"schema": 1, "targets": {}}', "targets is {}, not a list"),
    ],
)
def test_a_file_that_is_no_report(content: bytes | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ReportError, match=told) as caught:
        open_last_release(make_recipe(Path("m.onnx"), baseline=file))
    assert caught.value.hint


def damaged(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A report's document with another value at that place."""
    document: dict[str, Any] = json.loads(to_json(report(target())))
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("targets", 0), 3, "targets[0] is 3, not a table"),
        (("targets", 0), {}, "targets[0] has no target"),
        (("targets", 0, "target"), {}, "targets[0].target is {}, not text"),
        (("targets", 0, "models"), "x", 'targets[0].models is "x", not a list'),
        (("targets", 0, "models", 0), None, "targets[0].models[0] is null, not a table"),
        (
            ("targets", 0, "models", 0, "bytes"),
            "10",
            'targets[0].models[0].bytes is "10", not a whole number',
        ),
        (
            ("targets", 0, "models", 0, "latency", 0, "ms"),
            True,
            "targets[0].models[0].latency[0].ms is true, not a number",
        ),
        (("targets", 0, "retention"), 3, "targets[0].retention is 3, not a table"),
        (("targets", 0, "gates"), [{"name": "g", "limit": 1, "value": 2}], "gates[0] has no pass"),
        (("targets", 0, "gates"), 5, "targets[0].gates is 5, not a list"),
        (("targets", 0, "models", 0, "bytes"), 10**400, "models[0].bytes is 1000"),
        (("targets", 0, "error"), {"hint": 3}, 'error is {"hint": 3}, not an error with'),
        (("targets", 0, "details"), [], "targets[0].details is [], not a table"),
        (("toolkit",), 1, "toolkit is 1, not a table"),
        (("recipe",), [], "recipe is [], not a table"),
    ],
)
def test_a_damaged_report_is_told_by_key_and_value(
    path: tuple[str | int, ...], value: Any, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(damaged(path, value)))
    with pytest.raises(ReportError) as caught:
        open_last_release(make_recipe(Path("m.onnx"), baseline=file))
    assert str(caught.value).startswith(f"{file}: not a report of rockpress: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not re.search("Input should|Value error|validation", str(caught.value))


def test_numbers_that_json_has_not_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(damaged(("targets", 0, "retention", "value"), float("nan"))))
    with pytest.raises(ReportError, match="NaN is no number of JSON"):
        open_last_release(make_recipe(Path("m.onnx"), baseline=file))


def test_figures_that_are_none_are_not_compared(tmp_path: Path) -> None:
    nothing = LatencyFigure("npu-estimate", None, cycles=0)
    old = report(target(size=-1, npu=nothing, kept=None))
    assert compared(tmp_path, old, report(NEW)).targets[0].changes == ()
    recipe = make_recipe(
        Path("m.onnx"),
        eval=Path("e"),
        baseline=tmp_path / "old.json",
        max_regression={"size": 0.1},
    )
    with pytest.raises(ReportError, match="has no size of rk3588"):
        require_comparable(open_last_release(recipe), recipe, ["rk3588"])


def test_gates_that_cannot_be_checked_are_told_before_anything_runs(tmp_path: Path) -> None:
    limits = {"retention": 0.01}
    with pytest.raises(OptionError, match="needs a report to compare with"):
        open_last_release(make_recipe(Path("m.onnx"), max_regression=limits))
    recipe = make_recipe(
        Path("m.onnx"), baseline=written(tmp_path, report(target())), max_regression=limits
    )
    with pytest.raises(OptionError, match="without labelled samples"):
        require_comparable(open_last_release(recipe), recipe, ["rk3588"])
    with_eval = recipe.with_options(eval=Path("e"))
    with pytest.raises(ReportError, match="has no retention of rk3566"):
        require_comparable(open_last_release(recipe), with_eval, ["rk3588", "rk3566"])


def test_larger_figures_are_worse_but_for_retention(tmp_path: Path) -> None:
    found = compared(tmp_path, report(target()), report(NEW)).targets[0].changes
    assert [worse_by(one) > 0 for one in found] == [True, True, False, True]


# The command


@pytest.mark.parametrize("text", ["cycles", "cycles=2", "cycles=-2%", "speed=2%", "size=x%", ""])
def test_wrong_limits_are_told(text: str, rockpress: Run) -> None:
    code, _, err = rockpress("check", "a.onnx", "b.onnx", "--max-regression", text)
    assert (code, "is not NAME=N%" in err) == (2, True)


def test_check_against_an_earlier_check(
    small_cnn: Path, labelled_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"

    def checked(*more: object) -> tuple[int, str]:
        words = ["check", small_cnn, small_cnn, "--eval", labelled_folder, "--quiet", *more]
        code = run(lambda: main.app(list(map(str, words)), prog_name="rockpress"))
        return code, "".join(capsys.readouterr())

    assert checked("--report", old)[0] == 0
    gates = ["--baseline", old, "--max-regression", "size=0%"]
    document = json.loads(old.read_text())
    document["targets"][0]["models"][-1]["bytes"] //= 2
    old.write_text(json.dumps(document))
    code, told = checked(*gates)
    assert code == 4, told
    assert "max-regression-size 0% does not hold" in told
    assert checked("--max-regression", "size=0%")[0] == 2


def test_a_run_does_not_write_over_what_it_is_gated_against(
    rockpress: Run,
    small_cnn: Path,
    image_folder: Path,
    tmp_path: Path,
) -> None:
    old = tmp_path / "build" / "report.json"
    old.parent.mkdir()
    old.write_text("{}")
    words = ["run", small_cnn, "--calib", image_folder, "-o", old.parent, "--baseline", old]
    code, _, said = rockpress(*words, "--max-regression", "size=1%")
    assert code == 2
    assert f"compares with {old}, which this run writes over" in said
    assert old.read_text() == "{}"
    # just to be shown what has changed it may be: here it is no report at all
    assert rockpress(*words)[0] == 1


def test_latencies_at_two_scales_are_compared_without_them() -> None:
    scale = LatencyScale(4.0, 1)
    scaled = replace(NPU, ms=8.0, scale=scale)
    (change,) = (
        change
        for change in changes_since(target(npu=scaled), target(npu=replace(NPU, ms=3.0)))
        if change.name == "latency"
    )
    assert (change.before, change.after) == (2.0, 3.0)
