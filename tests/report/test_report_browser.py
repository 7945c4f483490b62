"""The HTML report in a real browser: on a phone and a desktop, light and dark, and printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import BROWSER, BrowserPage, browser_page
from rockpress.core.results.graph_rows import GraphNode
from rockpress.core.results.report import TargetReport
from rockpress.core.results.sample_rows import MetricDetails
from rockpress.report.comparison.compared_result import SideBySide
from rockpress.report.comparison.comparison_files import rendered_comparison
from rockpress.report.comparison.opened_results import results_of
from rockpress.report.comparison.side_by_side import side_by_side
from rockpress.report.html.page import to_html
from rockpress.report.tuning.tune_files import rendered_tune
from sample_reports import EXTRA, FAILED, GOOD, report
from sample_tunes import TUNES

AXE = os.environ.get("ROCKPRESS_AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and AXE), reason="make test-browser brings what it needs"),
]
WIDE = MetricDetails(more={"other": [{f"key_{i}": f"value {i}" for i in range(30)}]})
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # noqa: E501
FLIPPED = replace(EXTRA["examples"], worst=(replace(EXTRA["examples"].worst[0], image=PICTURE),))
PAGES = {
    "one": (GOOD,),
    "several": (GOOD, FAILED),
    "extra": (replace(GOOD, **{**EXTRA, "examples": FLIPPED}),),
    "wide": (replace(GOOD, **{**EXTRA, "details": WIDE}),),
    "bare": (TargetReport(None, GOOD.models[:1], GOOD.retention, GOOD.ratios, None),),
}


@pytest.fixture(scope="module")
def page() -> Iterator[BrowserPage]:
    with browser_page() as opened:
        yield opened


SEARCHES = [name for name in TUNES if name != "tune-doubt"]  # drawn as "tune" is
NAMES = [*PAGES, "comparison", *SEARCHES]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, targets in PAGES.items():
        shown = replace(report(*targets), next=("a gate keeps it so: --min-retention 0.98",))
        (folder / f"{name}.html").write_text(to_html(shown))
    (folder / "comparison.html").write_text(rendered_comparison(comparison(), ".html"))
    for name in SEARCHES:
        (folder / f"{name}.html").write_text(rendered_tune(TUNES[name], ".html"))
    return {name: folder / f"{name}.html" for name in NAMES}


def comparison() -> SideBySide:
    """Two results with all that a comparison draws."""
    slower = tuple(replace(layer, ms=2 * (layer.ms or 0.1)) for layer in GOOD.layers)
    other = report(replace(GOOD, layers=slower))
    opened = [*results_of(report(GOOD), "a", "a", "a.html"), *results_of(other, "b", "b")]
    return side_by_side(opened, lambda kind: 1.1)


def violations(page: BrowserPage) -> list[Any]:
    """What axe-core finds, each as its rule, and the elements that break it."""
    page.value(f"{Path(AXE).read_text()};0")
    script = "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    found: list[Any] = page.value(script)
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_the_window_and_can_be_read_by_all(
    name: str, width: int, dark: bool, page: BrowserPage, files: dict[str, Path]
) -> None:
    page.show(width, dark=dark)
    page.open(files[name])
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.value("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    assert page.complaints() == []


@pytest.mark.parametrize("name", NAMES)
def test_a_printed_page_holds_what_is_folded(
    name: str, page: BrowserPage, files: dict[str, Path]
) -> None:
    page.show(718, media="print", dark=True)  # A4 less its margins
    page.open(files[name])
    assert page.value("document.documentElement.scrollWidth") <= 718
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('details > :not(summary)')]"
    assert page.value(f"{hidden}.filter(each => !each.checkVisibility()).length") == 0
    page.show(1400)


def test_a_table_of_hundreds_of_layers_is_not_printed(page: BrowserPage, tmp_path: Path) -> None:
    nodes = [GraphNode(f"c{place}", "Conv", (), (place - 1,)) for place in range(1, 300)]
    target = replace(GOOD, graph=(GraphNode("x", "Input"), *nodes))
    (tmp_path / "long.html").write_text(to_html(report(target)))
    page.show(718, media="print")
    page.open(tmp_path / "long.html")
    table = "document.querySelector('details.long table')"
    assert page.value(f"{table}.checkVisibility()") is False
    page.show(1400)


# The graph


@pytest.fixture
def graph(page: BrowserPage, files: dict[str, Path]) -> BrowserPage:
    page.show(1400)
    page.open(files["extra"])
    page.value("document.querySelector('.graph canvas').scrollIntoView()")
    return page


def said(page: BrowserPage) -> str:
    return str(page.value("document.querySelector('.graph output').textContent"))


def drawn(page: BrowserPage) -> str:
    page.frame()
    return str(page.value("document.querySelector('.graph canvas').toDataURL()"))


def test_the_graph_is_gone_through_by_keys(graph: BrowserPage) -> None:
    graph.value("document.querySelector('.graph canvas').focus()")
    texts = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowLeft", "End", "ArrowUp"):
        graph.press(key)
        texts.append(said(graph).split(":")[0])
    sides = {texts[2], texts[3]}
    assert texts[:2] == ["Input x", "ConvRelu c1"] and texts[5:] == ["Output y", "Concat cat"]
    assert "Conv c2" in texts[2:5] and len(sides) <= 2
    graph.press("Home")
    graph.press("ArrowDown")
    assert said(graph) == (
        "ConvRelu c1: 0.1 ms, 40.5 dB. Conv int8 on the NPU. Joins Conv c1, Relu r1. Reads x."
    )


def test_the_graph_is_searched(graph: BrowserPage) -> None:
    graph.value("document.querySelector('.graph input').focus()")
    for letter in "relu":
        graph.press(letter)
    assert said(graph) == "1 of 6 found; Enter goes to the next."
    graph.press("Enter")
    assert said(graph).startswith("ConvRelu c1:")


def test_the_graph_is_moved_and_zoomed(graph: BrowserPage) -> None:
    pictures = [drawn(graph)]
    place = "document.querySelector('.graph canvas').getBoundingClientRect()"
    x, y = graph.value(f"{{const r = {place}; [r.x + r.width / 2, r.y + 60]}}")
    common: dict[str, Any] = {"button": "left", "clickCount": 1}
    graph.mouse("mousePressed", x, y, **common)
    graph.mouse("mouseMoved", x + 90, y + 70, buttons=1, button="left")
    graph.mouse("mouseReleased", x + 90, y + 70, **common)
    pictures.append(drawn(graph))
    graph.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300, modifiers=2)
    pictures.append(drawn(graph))
    graph.value("document.querySelector('.graph button[value=all]').click()")
    pictures.append(drawn(graph))
    assert len(set(pictures)) == 3 and pictures[3] == pictures[0]
    scrolled = graph.value("scrollY")
    graph.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)  # without Ctrl the page scrolls
    graph.frame()
    assert drawn(graph) == pictures[3] and graph.value("scrollY") <= scrolled


def test_a_click_tells_of_a_layer(graph: BrowserPage) -> None:
    place = "document.querySelector('.graph canvas').getBoundingClientRect()"
    points = graph.value(f"{{const r = {place}; [r.x + r.width / 2, r.y, r.height]}}")
    texts = set()
    for step in range(20):
        for kind in ("mousePressed", "mouseReleased"):
            at = points[1] + (step + 0.5) * points[2] / 20
            graph.mouse(kind, points[0], at, button="left", clickCount=1)
        texts.add(said(graph).split(":")[0])
    assert {"Input x", "ConvRelu c1", "Output y"} <= texts


@pytest.mark.parametrize("colour", ["time", "noise", "format"])
def test_each_colour_has_a_legend_of_its_own(colour: str, graph: BrowserPage) -> None:
    graph.value(
        "{const s = document.querySelector('.graph select');"
        f"s.value = '{colour}'; s.dispatchEvent(new Event('change'))}}"
    )
    legend = graph.value("document.querySelector('.graph .legend').textContent")
    expected = {"time": "0 ms", "noise": "10 dB", "format": "input or outputint8CPU"}
    assert legend.startswith(expected[colour])


BRIGHTNESS = """(() => {
  const canvas = document.querySelector(".graph canvas");
  const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0, count = 0;
  for (let at = 0; at < dots.length; at += 4) if (dots[at + 3]) { sum += dots[at]; count++; }
  return sum / count;
})()"""


def test_the_graph_is_printed_as_if_it_were_light(
    page: BrowserPage, files: dict[str, Path]
) -> None:
    page.show(1400)
    page.open(files["extra"])
    page.frame()
    light = page.value(BRIGHTNESS)
    page.show(1400, dark=True)
    page.frame()
    dark = page.value(BRIGHTNESS)
    page.show(1400, dark=True, media="print")
    page.frame()
    assert page.value(BRIGHTNESS) == pytest.approx(light, abs=15) and dark < light - 50
    page.show(1400)


def test_without_scripts_the_graph_is_a_table(page: BrowserPage, files: dict[str, Path]) -> None:
    page.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(files["extra"])
        assert page.value("document.querySelector('figure.graph').offsetHeight") == 0
        assert "Relu r1" in page.value("document.body.textContent")
    finally:
        page.send("Emulation.setScriptExecutionDisabled", value=False)


def test_no_other_script_runs(page: BrowserPage, files: dict[str, Path], tmp_path: Path) -> None:
    attack = "<script>document.title = 'lost'</script><img src=x onerror=\"document.title='lost'\">"
    (tmp_path / "a.html").write_text(files["extra"].read_text().replace("<h1>", f"{attack}<h1>"))
    page.open(tmp_path / "a.html")
    assert page.value("document.title") != "lost"
    assert any("Content Security Policy" in text for text in page.complaints())
