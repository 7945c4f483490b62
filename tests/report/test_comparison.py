"""Results side by side: what is compared, what is not, and how that is shown."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import PurePath

import pytest

from rockpress.core.errors import ToolkitError
from rockpress.core.results.layer_rows import LayerRow
from rockpress.core.results.model_figures import (
    NOTHING_COMPARED,
    AccuracyFigure,
    LatencyFigure,
    LatencyScale,
    Memory,
    ModelRow,
    Ratios,
    RetentionFigure,
    ThroughputFigure,
)
from rockpress.core.results.report import GateFigure, Report, StageRun, TargetReport, ToolVersion
from rockpress.report.comparison.compared_result import OpenedResult, SideBySide
from rockpress.report.comparison.comparison_files import rendered_comparison
from rockpress.report.comparison.comparison_text import (
    against_lines,
    comparison_lines,
    comparison_tables,
    front_lines,
    layer_table,
)
from rockpress.report.comparison.layer_changes import layer_changes
from rockpress.report.comparison.opened_results import failed_result, names_of, results_of
from rockpress.report.comparison.side_by_side import is_same_model, side_by_side

BANDS = {"forms": 1.1, "formats": 1.4}
LAYER = LayerRow(
    *(1, "ConvRelu", "INT8", "NPU", (), (), 1, 2, 3000, "Conv:a", 4, 5, 0.0, None, 0.5, "compute"),
)


def report(
    *,
    ms: float | None = 2.0,
    size: int = 1000,
    top1: float = 0.9,
    model: str = "a/m.onnx",
    scheme: str = "w8a8",
    samples: str = "e",
    chip: str = "rk3588",
    toolkit: str = "2.5.0",
    scale: LatencyScale | None = None,
    layers: tuple[LayerRow, ...] = (),
    original: int = 4000,
    kept: RetentionFigure | None = None,
) -> Report:
    low, high = (None, None) if ms is None else (ms / 1.2, ms * 1.2)
    npu = LatencyFigure("npu-estimate", ms, low, high, 100_000, scale)
    rate = ThroughputFigure(1, 400.0, 300.0, 500.0, "counted")
    accuracy = AccuracyFigure("top1", top1, top1 - 0.02, top1 + 0.02, 400, "rknn-simulator")
    models = (
        ModelRow("baseline", "a/m.onnx", original, 50_000, 9_000),
        ModelRow(
            *("rknn", "r", size, None, None, (npu,), accuracy, (rate,)), memory=Memory(2000, size)
        ),
    )
    retention = kept or RetentionFigure("top1", top1 / 0.9, 0.9, 1.1, 400, 0.99, 25.0)
    gate = GateFigure("min-retention", 0.5, top1 / 0.9, True)
    target = TargetReport(*(chip, models, retention, Ratios(), None), gates=(gate,), layers=layers)
    recipe = {"model": model, "eval": f"sets/{samples}", "scheme": scheme}
    tools = ToolVersion("rockpress", "0.1.0"), ToolVersion("rknn-toolkit2", toolkit)
    return Report(*tools, recipe, (target,))


def compared(*reports: Report) -> SideBySide:
    opened: list[OpenedResult] = []
    for number, each in enumerate(reports):
        opened += results_of(each, "abcdefgh"[number], f"{number}/report.json")
    return side_by_side(opened, BANDS.__getitem__)


def codes(found: SideBySide) -> list[str]:
    return [warning.code for warning in found.warnings]


# What is compared


def test_without_labels_the_agreement_is_shown_with_its_interval() -> None:
    bare = report(kept=RetentionFigure(None, None, None, None, 12, 1.0, 30.0))
    found = compared(bare, report())
    (table,) = comparison_tables(found)
    column = table.headings.index("agreement")
    assert [row[column] for row in table.rows] == ["100.0% (75.8 to 100.0%)", "-"]
    assert "agreement: with the original, without labels" in " ".join(comparison_lines(found))
    assert "agreement" not in comparison_tables(compared(report(), report()))[0].headings
    assert "75.8 to 100.0%" in rendered_comparison(found, ".html")


def test_ratios_are_against_the_first() -> None:
    found = compared(report(), report(ms=1.0, size=750, top1=0.85), report(ms=2.1, top1=0.91))
    second, third = found.against
    assert (second.size, second.cycles, second.latency) == (0.75, 1.0, 0.5)
    assert (second.latency_low, second.latency_high) == (0.5 / 1.1, 0.5 * 1.1)
    assert second.accuracy == pytest.approx(-0.05)
    assert (second.latency_told_apart, second.accuracy_told_apart) == (True, True)
    assert (third.latency_told_apart, third.accuracy_told_apart) == (False, False)
    assert found.warnings == ()
    first, _, _ = found.results
    assert (first.parameters, first.original_bytes, first.model) == (50_000, 4000, "m")


def test_the_ratio_of_two_number_formats_is_less_sure() -> None:
    (against,) = compared(report(scheme="float16"), report(ms=1.0)).against
    assert against.latency_high == pytest.approx(0.5 * BANDS["formats"])


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"model": "b/other.onnx"}, "compare-model"),
        ({"original": 4001}, "compare-model"),
        ({"chip": "rk3566"}, "compare-target"),
        ({"toolkit": "2.3.2"}, "compare-toolkit"),
    ],
)
def test_times_of_what_does_not_err_alike_have_both_intervals(
    other: dict[str, str], code: str
) -> None:
    found = compared(report(), report(ms=1.0, **other))  # type: ignore[arg-type]
    (against,) = found.against
    assert codes(found) == [code]
    assert against.latency_high == pytest.approx(0.5 * 1.2 * 1.2)
    assert (against.cycles is None) == (code == "compare-target")
    assert (against.retention is None) == (code == "compare-model")
    assert against.accuracy is not None  # it is on the same samples


def test_accuracies_on_other_samples_are_not_compared() -> None:
    found = compared(report(), report(samples="other", top1=0.5), report(top1=0.8))
    assert codes(found) == ["compare-samples"]
    assert found.warnings[0].text.startswith("b: measured on other samples")
    first, second = found.against
    assert (first.accuracy, first.accuracy_told_apart, first.retention) == (None, None, None)
    assert second.accuracy == pytest.approx(-0.1)
    assert found.front == ("a",)


def test_times_at_two_scales_are_compared_without_them() -> None:
    found = compared(report(ms=2.0), report(ms=3.0, scale=LatencyScale(1.5, 1)))
    assert codes(found) == ["compare-scale"]
    assert found.against[0].latency == pytest.approx(1.0)
    alike = compared(*[report(ms=ms, scale=LatencyScale(1.5, 1)) for ms in (2.0, 3.0)])
    assert (codes(alike), alike.against[0].latency) == ([], 1.5)


def test_the_host_and_what_is_not_known_are_no_times_of_a_chip() -> None:
    host = report()
    (target,) = host.targets
    row = replace(target.models[1], latency=(LatencyFigure("host", 9.0),))
    host = replace(host, targets=(replace(target, models=(row,)),))
    for other in (host, report(ms=None)):
        for pair in ((report(), other), (other, report())):
            (against,) = compared(*pair).against
            assert (against.latency, against.latency_low) == (None, None)


def test_a_target_that_failed_is_among_them() -> None:
    failed = TargetReport(
        "rk3566", (), NOTHING_COMPARED, Ratios(), None, error=ToolkitError("it crashed", "try")
    )
    several = replace(report(), targets=(*report().targets, failed))
    found = compared(report(), several)
    assert [result.name for result in found.results] == ["a", "b rk3588", "b rk3566"]
    assert found.results[2].error == "it crashed"
    assert found.against[1].size is None
    (table,) = comparison_tables(found)
    assert [row[-1] for row in table.rows] == ["PASS", "PASS", "FAIL"]
    crashed = failed_result(ToolkitError("no such file"), "x", "x/report.json")
    assert crashed.result.verdict == "fail"


def test_what_was_checked_may_be_in_any_format() -> None:
    checked = report()
    stages = (StageRun("candidate", "done", 1.0),)
    checked = replace(checked, targets=(replace(checked.targets[0], stages=stages),))
    ((opened,), (usual,)) = results_of(checked, "a", "a"), results_of(report(), "a", "a")
    assert (opened.result.scheme, usual.result.scheme) == (None, "w8a8")


def test_models_are_one_by_digest_or_by_name_and_size() -> None:
    first = results_of(report(), "a", "a")[0].result
    assert is_same_model(first, replace(first, original_bytes=None))
    assert not is_same_model(first, replace(first, model="n"))


def test_two_rknn_are_of_one_model_where_their_digests_say_so() -> None:
    first = replace(results_of(report(), "a", "a")[0].result, verdict=None, digest="0", model="x")
    original = replace(first, origin="0")
    quantized = replace(first, model="q", digest="1", origin="0")
    assert is_same_model(first, replace(first, model="n"))
    for other in (original, first, replace(quantized, digest="2")):
        assert is_same_model(quantized, other) and is_same_model(other, quantized)
    assert is_same_model(original, replace(quantized, origin="3")) is False
    # quantized elsewhere, an old manifest, none at all, and a report beside a .rknn
    for other in (
        replace(first, model="q", digest="1"),
        replace(first, model="q", digest=None),
        replace(first, model="q", digest=None, verdict="pass"),
    ):
        assert is_same_model(original, other) is None
        assert is_same_model(other, original) is None


def test_what_is_of_one_model_and_what_may_not_be_is_told() -> None:
    first = replace(results_of(report(), "a", "a")[0].result, verdict=None, digest="0", origin="0")
    quantized = replace(first, name="q", model="q", digest="1")
    foreign = replace(quantized, name="f", origin=None)
    found = side_by_side([OpenedResult(first), OpenedResult(quantized)], BANDS.__getitem__)
    assert (codes(found), found.against[0].retention) == ([], 0.0)
    assert comparison_lines(found)[0] == "all: made from one model, rk3588, w8a8"
    found = side_by_side([OpenedResult(first), OpenedResult(foreign)], BANDS.__getitem__)
    assert (codes(found), found.against[0].retention) == (["compare-origin"], None)
    assert found.warnings[0].text == "f: may be of another model than a (m)"
    assert comparison_lines(found)[0] == "all: rk3588, w8a8"


# The front


def test_the_front_has_what_no_other_beats() -> None:
    fast, slow, worse = (
        report(ms=1.0, top1=0.8),
        report(ms=3.0, top1=0.9),
        report(ms=3.5, top1=0.85),
    )
    found = compared(fast, slow, worse)
    assert found.front == ("a", "b")
    assert front_lines(found) == ["none is both faster and more accurate than: a, b"]
    twins = compared(fast, fast)
    assert twins.front == ("a", "b")
    assert front_lines(compared(report(), report(ms=None))) == []


def test_of_an_error_rate_less_is_better() -> None:
    lost = RetentionFigure("cer", 0.8, 0.7, 0.9, 400, None, 20.0, difference=0.02)
    found = compared(report(ms=1.0, top1=0.10, kept=lost), report(ms=3.0, top1=0.08, kept=lost))
    assert found.front == ("a", "b")
    found = compared(report(ms=1.0, top1=0.08, kept=lost), report(ms=3.0, top1=0.10, kept=lost))
    assert found.front == ("a",)


# The layers


def layers(**times: float | None) -> tuple[LayerRow, ...]:
    return tuple(replace(LAYER, name=name, ms=ms) for name, ms in times.items())


def test_layers_are_joined_by_name_and_the_dearest_change_comes_first() -> None:
    before = layers(a=0.5, b=0.2, c=0.08, same=0.3)
    after = (*layers(a=0.4, b=0.6, d=0.05, same=0.3), *layers(b=0.1))
    changes = layer_changes(before, after)
    assert changes is not None
    assert [(change.name, round(change.ms or 0, 3)) for change in changes] == [
        ("b", 0.5),
        ("a", -0.1),
        ("c", -0.08),
        ("d", 0.05),
    ]
    assert (changes[2].ms_after, changes[3].dtype_before) == (None, None)
    found = compared(report(layers=before), report(layers=after))
    table = layer_table(found)
    assert table is not None
    assert table.rows[0] == ("b", "ConvRelu", "int8", "0.200", "0.700", "+0.500")
    assert table.rows[3][2] == "int8, new"


def test_a_chip_without_milliseconds_has_cycles() -> None:
    before = layers(a=None, b=None)
    after = (before[0], replace(before[1], total_cycles=5000))
    found = compared(report(layers=before), report(layers=after))
    table = layer_table(found)
    assert table is not None
    assert table.headings[-1] == "change (cycles)"
    assert table.rows == (("b", "ConvRelu", "int8", "3.0 k", "5.0 k", "+2,000"),)


def test_layers_of_two_networks_are_not_joined() -> None:
    assert layer_changes(layers(a=1, b=1, c=1), layers(a=1, x=1, y=1)) is None
    assert layer_changes((), layers(a=1)) is None
    one, other = report(layers=layers(a=1)), report(layers=layers(a=2), chip="rk3566")
    assert compared(one, other).layers == ()
    assert compared(one, report(layers=layers(a=2)), one).layers == ()


# How it is shown


def test_what_all_have_in_common_is_said_once() -> None:
    found = compared(report(), report(scheme="float16"))
    assert comparison_lines(found)[0] == "all: m, rk3588"
    (table,) = comparison_tables(found)
    assert table.headings[:2] == ("result", "scheme")
    assert "model" not in table.headings
    costs, quality = comparison_tables(found, narrow=True)
    assert {*costs.headings, *quality.headings} == set(table.headings)
    assert quality.headings == ("result", "accuracy", "retention", "verdict")


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_memory_and_retention_have_the_form_of_the_report(suffix: str) -> None:
    both = compared(report(), report(size=4000))
    (table,) = comparison_tables(both)
    columns = dict(zip(table.headings, zip(*table.rows, strict=True), strict=True))
    assert columns["memory"] == ("3.0 kB", "6.0 kB")
    assert columns["retention"][0] == "100.0% (90.0 to 110.0%)"
    text = re.sub("<[^>]*>", "", rendered_comparison(both, suffix))
    assert "6.0 kB" in text and "100.0% (90.0 to 110.0%)" in text
    assert "fps: in an application" in text


def test_what_cannot_be_told_apart_is_said() -> None:
    near, far = against_lines(
        compared(report(), report(ms=2.1, top1=0.91), report(ms=1.0, size=500))
    )
    assert near == (
        "b against a: size +0.0%, latency +5.0% (not told apart, 90 %: -4.5% to +15.5%), "
        "accuracy +0.0100 (not told apart), retention +1.1 points"
    )
    assert far.startswith("c against a: size -50.0%, latency -50.0% (90 %: -54.5% to -45.0%), ")


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/b/v1/report.json", "/b/v2/report.json"], ["v1", "v2"]),
        (["/b/v1/m/report.json", "/b/v2/m/report.json"], ["v1/m", "v2/m"]),
        (["/b/old.json", "/b/new.json", "/b/m.rknn"], ["old", "new", "m.rknn"]),
        (["/b/old.json", "/b/old.json"], ["old", "old (2)"]),
    ],
)
def test_names_are_the_ends_of_the_paths(files: list[str], names: list[str]) -> None:
    assert names_of([PurePath(file) for file in files]) == names


NASTY = "<script>alert(1)</script>|`x` \x1b[31m"


class Balanced(HTMLParser):
    """Counts which elements are open, and keeps the ids of what is linked."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag not in ("meta", "img", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def full() -> SideBySide:
    many = tuple(layer for number in range(30) for layer in layers(**{f"layer{number}": 0.1}))
    slower = tuple(replace(layer, ms=0.2) for layer in many)
    found = compared(report(layers=many), report(ms=2.5, top1=0.94, layers=slower))
    results = [
        replace(result, name=f"{result.name} {NASTY}", link=f"r {number}?.html")
        for number, result in enumerate(found.results)
    ]
    return replace(found, results=tuple(results), front=tuple(each.name for each in results))


def test_the_page_is_whole_and_safe() -> None:
    text = rendered_comparison(full(), ".html")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "script" not in parser.seen
    assert parser.links == ["r%200%3F.html", "r%201%3F.html"]
    assert not re.search(r"(src|href)=.?(https?:|//)", text)
    for words in ("Accuracy over time", "30 layers changed", "20 more", "Verdicts"):
        assert words in text
    assert text.count('<circle class="point"') == 2


def test_markdown_and_json_have_the_same() -> None:
    found = full()
    text = rendered_comparison(found, ".md")
    assert "<script>" not in text and "\x1b" not in text
    assert "| result " in text and "30 layers changed" in text
    written = rendered_comparison(found, ".json")
    assert "\x1b" not in written
    document = json.loads(written)
    assert document["schema"] == 1
    assert [each["bytes"] for each in document["results"]] == [1000, 1000]
    assert document["results"][0]["name"] == found.results[0].name
    assert len(document["layers"]) == 30


def test_no_number_is_too_odd_to_draw() -> None:
    odd = [1e-9, 1e17, 0.0, 5e-324]
    found = compared(*(report(ms=ms, size=10**17, top1=math.sqrt(ms)) for ms in odd))
    for suffix in (".html", ".md", ".json"):
        text = rendered_comparison(found, suffix)
        assert "nan" not in text.lower()
