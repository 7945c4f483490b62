"""The HTML report in a real browser: on a phone and a desktop, light and dark, and printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import BROWSER, BrowserPage, browser_page
from rockpress.core.results.report import TargetReport
from rockpress.core.results.sample_rows import MetricDetails
from rockpress.report.html.page import to_html
from sample_reports import EXTRA, FAILED, GOOD, report

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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, targets in PAGES.items():
        (folder / f"{name}.html").write_text(to_html(report(*targets)))
    return {name: folder / f"{name}.html" for name in PAGES}


def violations(page: BrowserPage) -> list[Any]:
    """What axe-core finds, each as its rule, and the elements that break it."""
    page.value(f"{Path(AXE).read_text()};0")
    script = "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    found: list[Any] = page.value(script)
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_window_and_can_be_read_by_all(
    name: str, width: int, dark: bool, page: BrowserPage, files: dict[str, Path]
) -> None:
    page.show(width, dark=dark)
    page.open(files[name])
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.value("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    assert page.complaints() == []


@pytest.mark.parametrize("name", PAGES)
def test_a_printed_page_holds_what_is_folded(
    name: str, page: BrowserPage, files: dict[str, Path]
) -> None:
    page.show(718, media="print", dark=True)  # A4 less its margins
    page.open(files[name])
    assert page.value("document.documentElement.scrollWidth") <= 718
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('details > :not(summary)')]"
    assert page.value(f"{hidden}.filter(each => !each.offsetHeight).length") == 0
    page.show(1400)
