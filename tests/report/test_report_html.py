"""The HTML report: what is drawn, that it is whole and safe, and that it can be read."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rockpress.core.errors import ToolkitError
from rockpress.core.results.graph_rows import GraphNode
from rockpress.core.results.layer_rows import LayerTime
from rockpress.core.results.model_figures import (
    QuantizationFigure,
)
from rockpress.core.results.pruning_figures import CurvePoint
from rockpress.core.results.report import (
    GateFigure,
    Report,
    TargetReport,
)
from rockpress.core.results.sample_rows import (
    ChangedSample,
    ChangedSamples,
    MetricDetails,
)
from rockpress.report.documents.document import to_document
from rockpress.report.html.charts import ChartPoint, Scale, bar, curve, interval_chart, shares_chart
from rockpress.report.html.graph_layout import layered
from rockpress.report.html.markup import joined, tag
from rockpress.report.html.models_part import quantization_card
from rockpress.report.html.page import to_html
from rockpress.report.html.style import STYLE
from rockpress.report.text.escape import xml_visible
from sample_reports import EXTRA, FAILED, GOOD, report, worse

VOID = {"meta", "img", "wbr"}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


class Read(HTMLParser):
    """A page's elements and texts; fails when an element is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "caption", "script"):
            self.texts.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, name: str, **wanted: str) -> list[dict[str, str | None]]:
        found = [attributes for tag, attributes in self.elements if tag == name]
        return [one for one in found if wanted.items() <= one.items()]


def with_extra(**more: Any) -> str:
    return to_html(report(replace(GOOD, **more)))


NOTHING = TargetReport(None, GOOD.models[:1], GOOD.retention, GOOD.ratios, None)
PAGES = {
    "one": to_html(report(GOOD)),
    "several": to_html(report(GOOD, FAILED)),
    "extra": with_extra(**EXTRA),
    "bare": to_html(report(NOTHING)),
}


# Whole and safe


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_asks_for_nothing(name: str) -> None:
    text = PAGES[name]
    read = Read(text)
    assert text.startswith("<!doctype html>\n<html lang=")
    assert not read.all("link") and not read.all("img")
    for _, attributes in read.elements:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style")]
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text and "@import" not in text and "http://" not in text
    policy = read.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy and "default-src 'none'" in policy


@pytest.mark.parametrize("name", PAGES)
def test_the_only_script_is_the_one_that_the_policy_names(name: str) -> None:
    read = Read(PAGES[name])
    policy = str(read.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"])
    scripts = [script for script in read.all("script") if script.get("type") != "application/json"]
    if name != "extra":
        assert not read.all("script") and "script-src" not in policy
        return
    assert scripts == [{}]
    text = PAGES[name].split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert policy.split("; ")[-1] == f"script-src 'sha256-{digest}'"
    for loads in ("fetch", "XMLHttp", "import", "innerHTML", "eval", "Function", "document.write"):
        assert loads not in text


@pytest.mark.parametrize("name", PAGES)
def test_drawings_have_a_title_or_stand_beside_their_value(name: str) -> None:
    read = Read(PAGES[name])
    for attributes in read.all("svg"):
        inner = "viewbox" in attributes  # the curve inside a drawing that has a title
        assert inner or attributes.get("role") == "img" or attributes.get("aria-hidden") == "true"
    assert PAGES[name].count('role="img"') == len(
        re.findall(r'role="img"[^>]*><title>[^<]+</title>', PAGES[name])
    )
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


ATTACK = "<script>alert(1)</script>\"'&amp;</style><!--\x1b]0;x\x07\u202e"


# What is compared with words of rockpress's own, so that it is one of them.
OWN = ("status", "kind", "runs_on", "changes")


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same dataclasses with every value in them changed."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return replace(
            value,
            **{key: one if key in OWN else rebuilt(one, change) for key, one in parts.items()},
        )
    if isinstance(value, Mapping):
        return {key: rebuilt(one, change) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(rebuilt(one, change) for one in value)
    return change(value)


def poisoned(value: Any) -> Any:
    if isinstance(value, ToolkitError):
        return ToolkitError(value.message + ATTACK, value.hint + ATTACK)
    return value + ATTACK if isinstance(value, str) else value


def test_texts_of_a_report_never_become_markup() -> None:
    clean_report = report(replace(GOOD, **EXTRA), FAILED)
    clean = Read(to_html(clean_report))
    dirty_text = to_html(rebuilt(clean_report, poisoned))
    dirty = Read(dirty_text)
    kinds = {tag for tag, _ in clean.elements}
    assert {tag for tag, _ in dirty.elements} <= kinds | {"wbr"}  # where a name has parts
    assert "<script>alert(1)</script>" in dirty.said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", dirty_text)


@given(st.text(max_size=20))
@example(ATTACK)
def test_texts_of_any_form_are_shown_as_they_are(text: str) -> None:
    read = Read(tag("p", text, title=text))
    assert "".join(read.texts) == xml_visible(text) == read.all("p")[0]["title"]


def test_elements_are_escaped_once() -> None:
    assert joined([tag("b", "<"), "<", None, 1, 0.5, ["&"]]) == "<b>&lt;</b>&lt;10.5&amp;"


# What it shows


def test_the_verdict_and_the_figures_come_first() -> None:
    said = Read(PAGES["one"]).said
    order = [
        "m.onnx",
        "PASS rk3588: 99.8% of top1 kept",
        "min-retention 98% holds",
        "✓ PASS",
        "Size 498.7 kB",
        "-50% against float16",
    ]
    places = [said.index(one) for one in order]
    assert places == sorted(places)
    failing = replace(GOOD, gates=(GateFigure("max-size-mb", 0.4, 0.5, False), *GOOD.gates))
    alone = replace(failing, gates=failing.gates[:1])
    said = Read(to_html(report(alone))).said
    assert "FAIL rk3588: max-size-mb 0.4 does not hold: 0.5; 99.8% of top1 kept" in said
    said = Read(to_html(report(failing, FAILED))).said
    assert "FAIL: rk3588, rk3566 of 2 targets" in said
    assert "FAIL rk3588: max-size-mb 0.4 does not hold: 0.5;" in said
    assert "FAIL rk3566: nothing was built" in said
    assert "it <crashed>" in said and "hint: try & again" in said
    assert "no gate" in Read(PAGES["bare"]).said and "PASS" not in PAGES["bare"]
    assert "-50% against the original" in Read(PAGES["bare"]).said


def test_the_parts_that_a_report_has() -> None:
    said = Read(PAGES["one"]).said
    for text in (
        "99.8% of the original's top1 is kept, on 400 samples",
        "The top1 changed by -0.0025 (-0.0100 to +0.0050); so large a difference comes by chance "
        "with p = 0.25 (McNemar).",
        "size 100.0 kB 90.0 kB -10.0%, better",
        "1 warning toolkit-fidelity they <differ> look & see",
        "gptq 24.8 dB min-max 12.4 dB",
        "2 tensors in float16: 29.0 dB, +5.0% cycles",
        "gates.min_retention 0.98 mean 1, 2",
        "The stages: 12 s baseline 1.2 s",
        "1 × 48 × 192 × 3 rgb 127.5",
    ):
        assert text in said, text
    for title in ("Class by class", "flipped", "worse images"):
        assert title not in said


@pytest.mark.parametrize(
    ("by", "method", "said"),
    [
        ("sqnr", "gptq", "gptq was kept: sample by sample none is better by more than chance."),
        ("sqnr", "mse", "had seen.<"),
        ("user", "gptq", "gptq was asked for."),
        ("top1", "gptq", "The method was chosen by top1 on them."),
    ],
)
def test_why_a_method_was_kept(by: str, method: str, said: str) -> None:
    how = QuantizationFigure(method, 24, {"gptq": 30.0, "mse": 30.5}, metric="top1", chosen_by=by)
    assert said in str(quantization_card(how))


@pytest.mark.parametrize("candidates", [{"gptq": 30.0, "mse": 29.5}, {}])
def test_a_method_that_was_not_built_is_not_called_the_result(candidates: dict[str, float]) -> None:
    how = QuantizationFigure("gptq", 24, candidates, fallback="hybrid")
    said = str(quantization_card(how))
    assert "Quantization: the toolkit (hybrid)" in said and 'class="after"' not in said
    assert "The .rknn is quantized by the toolkit (hybrid) in the ranges of gptq." in said
    assert ("had seen." in said) == bool(candidates)


def test_parts_that_only_some_runs_have() -> None:
    said = Read(PAGES["extra"]).said
    for text in (
        "pruned 0.9100 -0.0100 19.8 dB 19.8 dB rknn 0.9100 +0.0000 equal 19.8 dB",
        "Layers that add most noise in int8 c1 Conv -8.4 dB, to 31.2 c2 Conv -4.2 dB, to 35.0",
        "clean 99.0% blur 2 97.0% top1 original result clean 0.9000 0.8910 blur 2 0.9000 0.8730",
        "Retention with its 95 % interval, on 500 samples",
        "original result class objects original result change 23 shirt 10 0.900 0.670 -0.230",
        "Average precision of each class, as top1 counts it.",
        "Precision and recall original result precision 1 0 Precision against recall 0 recall 1",
        "recall original result 0.00 1.000 0.900 0.10 0.950 0.833",
        "Confusions label predicted baseline candidate 3 5 0 4",
        "The result is worse on 2 samples and better on 1.",
        "sample label baseline candidate index baseline score candidate score a/3.png 3 3 5 3 1 0",
    ):
        assert text in said, text


def test_pictures_of_flipped_samples_are_a_contact_sheet() -> None:
    worst = (
        ChangedSample("3.png", 3, "3", "3", "5", 1.0, 0.0, PICTURE),
        ChangedSample("4.png", 4, "4", "4", "5", 1.0, 0.0, "x:y"),
    )
    one = replace(GOOD, examples=ChangedSamples((3, 4), (), worst))
    read = Read(to_html(report(one)))
    (shown,) = read.all("img")
    assert shown == {"src": PICTURE, "alt": "sample 3.png, label 3: 3 → 5"}
    assert "label 3: 3 → 5 in words sample label baseline candidate index" in read.said
    assert "image" not in to_document(report(one))["targets"][0]["examples"]["worst"][0]


def test_what_was_lost_is_drawn_on_larger_pictures() -> None:
    worst = ChangedSample("3.png", 3, "1 x cat", "1 x cat", "nothing", 1.0, 0.0, PICTURE)
    plain = ChangedSamples((3,), (), (worst,))
    marked = ChangedSamples((3,), (), (replace(worst, is_drawn=True),))
    pages = [to_html(report(replace(GOOD, examples=examples))) for examples in (plain, marked)]
    assert ['class="sheet wide"' in page for page in pages] == [False, True]
    assert ["dashed, and named lost" in Read(page).said for page in pages] == [False, True]
    assert "is drawn" not in Read(pages[1]).said
    assert "is_drawn" not in to_document(report(GOOD))["targets"][0]


def test_worse_images_without_labels() -> None:
    rows = worse("none", None, None, 0.99), worse("noise", 30.0, None, 0.9)
    said = Read(with_extra(robustness=rows)).said
    assert (
        "clean 99.0% noise 30 90.0% Agreement with the original and its 95 % "
        "interval, on 500 samples" in said
    )
    without = tuple(replace(row, agreement=None) for row in rows)
    assert "noise 30 25.0 dB SQNR of the outputs" in Read(with_extra(robustness=without)).said


def test_what_a_metric_of_the_users_own_adds() -> None:
    records = [{"part": "lid", "error_db": 3.5, "seen": True}, {"part": "box", "error_db": None}]
    said = Read(with_extra(details=MetricDetails(more={"by_part": records}))).said
    assert "By part part seen error (dB) lid True 3.5 box - -" in said


@pytest.mark.parametrize("value", [None, [], {}, "text", 3, [1], [{}], [{"a": None}], [{"x": []}]])
def test_details_of_another_form_are_no_trouble(value: Any) -> None:
    Read(with_extra(details=MetricDetails(more={"classes": value, "other": value})))


def test_layers_are_sorted_and_the_tail_is_folded() -> None:
    read = Read(PAGES["one"])
    said = read.said
    assert "Where the milliseconds go" in said
    assert said.index("on the cpu Conv") < said.index("c19 Conv") < said.index("c18 Conv")
    assert "the other 8 layers: 3.600 ms, 15.0%" in said  # 0.1 to 0.8 of 5 + 19
    assert "c0 Conv" not in said
    no_fit = replace(GOOD, layers=tuple(replace(one, ms=None) for one in GOOD.layers))
    said = Read(to_html(report(no_fit))).said
    assert "Where the cycles go" in said and "c20" not in said


def test_layers_before_and_after() -> None:
    before = tuple(LayerTime(f"Conv:c{index}", 1, 0.4 * index) for index in range(1, 20))
    text = with_extra(reference_layers=before)
    assert "the original model, compiled as it is the result on the CPU" in Read(text).said
    assert "All layers of the original model take 76.000 ms." in Read(text).said
    assert "compute · 7.600 ms before" in Read(text).said and "more than" not in Read(text).said
    faster = tuple(replace(one, ms=0.01) for one in before)
    assert (
        "17 layers take more than before, most c19: 1.890 ms more."
        in Read(with_extra(reference_layers=faster)).said
    )
    assert text.count('class="before" width="100.00%"') > PAGES["one"].count(
        'class="before" width="100.00%"'
    )


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_decibels_that_are_no_number_do_not_lose_the_page(value: float) -> None:
    def spoilt(report: Report) -> Report:
        (one,) = report.targets
        quantization = one.quantization
        assert quantization is not None
        return replace(
            report,
            targets=(
                replace(
                    one,
                    retention=replace(one.retention, sqnr_db=value),
                    drift=tuple(replace(row, sqnr_db=value, step_db=value) for row in one.drift),
                    robustness=tuple(replace(row, sqnr_db=value) for row in one.robustness),
                    quantization=replace(
                        quantization,
                        candidates=dict.fromkeys(quantization.candidates, value),
                        tradeoffs=tuple(
                            replace(row, sqnr_db=value) for row in quantization.tradeoffs
                        ),
                    ),
                ),
            ),
        )

    text = to_html(spoilt(report(replace(GOOD, **EXTRA))))
    assert text.endswith("</html>\n")
    assert not re.search(r"\b(nan|inf)\b", " ".join(Read(text).texts))


# The graph


def drawn_graph(text: str) -> Any:
    return json.loads(re.findall(r'class="graph-data">(.*?)</script>', text)[0])


def test_the_graph_says_what_was_joined_and_what_it_costs() -> None:
    said = Read(PAGES["extra"]).said
    for text in (
        "4 layers; 1 operator joined to others.",
        "1 c1 ConvRelu Conv c1, Relu r1 0 Conv int8 on the NPU - 0.1 40.5",
        "2 c2 Conv Conv c2 1 Conv int8 on the NPU; Conv int8 on the NPU - 0.5 31.0",
        "3 up Resize Resize up 1 Conv int8 on the CPU - 5 -",
        "4 cat Concat Concat cat 0, 2, 3 no row of its own - - -",
    ):
        assert text in said, text
    graph = drawn_graph(PAGES["extra"])
    kinds = [graph["kinds"][kind] for kind in graph["kind"]]
    ends = "input or output"
    assert kinds == [ends, "int8", "int8", "CPU", "in another layer", ends]
    assert graph["time"] == [0.0, 0.1, 0.5, 5.0, None, None]
    assert "graph" not in PAGES["one"].split("</style>")[1]


def test_names_in_the_graph_end_no_script() -> None:
    graph = (GraphNode(ATTACK, "Input"), GraphNode("</script><!--", "Conv", (ATTACK,), (0,)))
    text = with_extra(graph=graph)
    assert drawn_graph(text)["name"] == [xml_visible(ATTACK), "</script><!--"]
    assert len(Read(text).all("script")) == 2


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_figures_of_the_graph_that_are_no_numbers_are_left_out(value: float) -> None:
    graph = (GraphNode("c1", "Conv", layers=(1,), sqnr_db=value),)
    layers = tuple(replace(layer, ms=value) for layer in GOOD.layers)
    drawn = drawn_graph(with_extra(graph=graph, layers=layers))
    assert (drawn["time"], drawn["noise"]) == ([None], [None])


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    inputs: list[list[int]] = []
    for place in range(draw(st.integers(1, 25))):
        reads = st.sets(st.integers(0, place - 1), max_size=3) if place else st.just(set())
        inputs.append(sorted(draw(reads)))
    return inputs


@given(graphs())
def test_nodes_are_drawn_below_what_they_read_and_beside_each_other(
    inputs: list[list[int]],
) -> None:
    layout = layered(inputs)
    for read, reader, bends in layout.edges:
        assert len(bends) in (0, layout.layers[reader] - layout.layers[read] - 1)
        assert layout.layers[read] < layout.layers[reader]
    assert sorted((read, reader) for read, reader, _ in layout.edges) == sorted(
        (read, reader) for reader, reads in enumerate(inputs) for read in reads
    )
    for layer in set(layout.layers):
        row = [at for at, own in zip(layout.places, layout.layers, strict=True) if own == layer]
        assert all(right - left > 0.999 for left, right in pairwise(sorted(row)))


def test_a_chain_is_drawn_straight_and_what_passes_it_beside_it() -> None:
    inputs: list[list[int]] = [[]]
    for _ in range(50):
        start = len(inputs) - 1
        inputs += [[start], [start + 1], [start, start + 2]]
    layout = layered(inputs)
    assert max(layout.places) - min(layout.places) < 0.1
    bends = [at for _, _, route in layout.edges for at in route]
    assert len(bends) == 100 and min(bends) - max(layout.places) > 0.5


# What is drawn


def widths(text: str, kind: str) -> list[float]:
    return [float(one) for one in re.findall(rf'class="{kind}" width="([\d.]+)%"', text)]


def test_the_page_shows_what_pruning_cut_and_the_trade_off() -> None:
    read = Read(PAGES["one"])
    for text in (
        "cycles -40.0%, MACs -50.0%, parameters -60.0%",
        "agreement against cycles at 4 widths of the model",
        "Channels of 2 groups, by what their cut saves; 1 group is whole.",
        "block2 2 layers 64 → 48, -12.0% block1 2 layers 96 → 24, -8.0%",
        "cut that was tried left 40.0% 98.5%",
    ):
        assert text in read.said, text
    part = PAGES["one"].split("<h3>Pruning")[1].split("Quantization")[0]
    assert re.findall(r'r="7"><title>(.*?)<', part) == ["cycles -40.0%: agreement 0.970, error 0.1"]
    assert widths(part, "after") == [75.0, 25.0]


def test_a_flat_curve_of_likeness_gives_way_to_the_errors() -> None:
    assert GOOD.pruning is not None
    errors = zip((0.9, 0.6, 0.5), (0.01, 0.04, 0.09), strict=True)
    curve = tuple(CurvePoint(cost, error, 1.0) for cost, error in errors)
    text = with_extra(pruning=replace(GOOD.pruning, curve=curve))
    assert "estimated error against cycles at 3 widths of the model" in text
    assert "The agreement on those samples is 1 at every point." in text
    assert "<span>0.09</span>" in text


def test_bars_are_as_long_as_their_values() -> None:
    sizes = PAGES["one"].split("Before and after")[1].split("NPU cycles")[0]
    assert widths(sizes, "before") == pytest.approx([58.7, 100, 100], abs=0.05)
    assert widths(sizes, "after") == pytest.approx([50, 50], abs=0.05)
    assert widths(bar(0), "after") == [0.4]  # still to be seen
    assert widths(bar(7), "after") == [100]


def test_the_interval_is_drawn_against_the_limit() -> None:
    chart = interval_chart("t", 0.97, 0.96, 0.98, 0.98)
    point = re.search(r'<circle class="point" cx="([\d.]+)%"', chart)
    limit = re.search(r'class="limit" x1="([\d.]+)%"', chart)
    band = re.search(r'class="band bad" x="([\d.]+)%" y="34" width="([\d.]+)%"', chart)
    assert point and limit and band
    start, width = map(float, band.groups())
    assert start < float(point[1]) < float(limit[1])
    assert start + width == pytest.approx(float(limit[1]), abs=0.02)
    assert 'class="band good"' in interval_chart("t", 0.97, 0.96, 0.98, 0.965)
    assert "limit" not in interval_chart("t", 0.97, 0.96, 0.98, None)


def test_figures_of_a_narrow_interval_do_not_lie_on_each_other() -> None:
    wide, narrow = (interval_chart("t", 1.0, low, 2 - low, 0.9) for low in (0.95, 0.999))
    assert ">95.0%<" in wide and ">105.0%<" in wide
    assert ">99.9 to 100.1%<" in narrow and ">99.9%<" not in narrow


def test_a_share_stands_at_its_tick() -> None:
    ticks = curve("t", [ChartPoint(0, 0, "a"), ChartPoint(1, 1, "b")], ("x", "y"))
    shares = shares_chart("t", [("result", [(0, 0), (1, 1)])], ("x", "y"))
    ends = [re.findall(r'points="([^"]+)"', drawn) for drawn in (ticks, shares)]
    assert ends[0] == ends[1] != []


def test_a_curve_goes_through_its_points() -> None:
    points = [ChartPoint(2, 10, "b"), ChartPoint(1, 30, "a", True)]
    drawn = curve("t", points, ("cost", "gain"))
    line = re.search(r'points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', drawn)
    assert line
    x1, y1, x2, y2 = map(float, line.groups())
    assert x1 < x2 and y1 < y2  # the cheaper is first, and lower on the page is less
    circles = re.findall(r'cx="([\d.]+)%" cy="([\d.]+)" r="(\d)"', drawn)
    places = [float(one) for x, y, _ in circles for one in (x, y)]
    assert places == pytest.approx([x1, y1, x2, y2], abs=1e-2)
    assert [r for _, _, r in circles] == ["7", "4"]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_drawn_points_stay_on_the_drawing(low: float, wide: float, value: float) -> None:
    scale = Scale(low, low + abs(wide) + 1)
    assert 0 <= scale.at(value) <= 100


def test_equal_values_can_be_drawn() -> None:
    assert 'cx="50.00%"' in interval_chart("t", 1.0, 1.0, 1.0, None)
    drawn = curve("t", [ChartPoint(0, 0.5, "a"), ChartPoint(1, 0.5, "b")], ("x", "y"))
    assert "polyline" in drawn
    assert drawn.count("<span>0.5</span>") == 1


# Light and dark, a phone and a desktop


def luminance(color: str) -> float:
    color = color if len(color) == 7 else "#" + "".join(2 * one for one in color[1:])
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_that_wcag_asks_for(theme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[theme]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", block))
    pairs = [(ink, back) for ink in ("ink", "muted") for back in ("card", "page", "warn-back")]
    pairs += [(one, f"{one}-back") for one in ("good", "bad", "warn")]
    pairs += [(one, "card") for one in ("good", "bad", "after", "warn")]
    for ink, back in [*pairs, ("muted", "track")]:
        lighter, darker = sorted((luminance(colors[ink]), luminance(colors[back])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, back)
