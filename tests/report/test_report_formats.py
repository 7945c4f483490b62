"""The files that --report writes, from reports made by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rockpress.cli.result_screen import ResultScreen, show_report
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import ToolkitError
from rockpress.core.results.model_figures import (
    NOTHING_COMPARED,
    LatencyFigure,
    ModelRow,
    Ratios,
    RetentionFigure,
    ThroughputFigure,
)
from rockpress.core.results.report import GateFigure, Report, StageRun, TargetReport, ToolVersion
from rockpress.report.formats import format_suffixes, md, rendered, xml
from rockpress.report.formats.md import escaped
from rockpress.report.text.annotations import to_annotations
from rockpress.report.text.escape import visible
from sample_reports import TOP1, layer

NPU = LatencyFigure("npu-estimate", 1.052, 0.848, 1.305, 231504)
GOOD = TargetReport(
    target="rk3588",
    models=(
        ModelRow("baseline", "a/cls.v2.onnx", 585532, accuracy=replace(TOP1, value=0.99)),
        ModelRow("rknn", "rk3588/cls.v2.rknn", 863387, latency=(NPU,), accuracy=TOP1),
    ),
    retention=RetentionFigure("top1", 0.9975, 0.99, 1.005, 400, 0.995, 25.6),
    ratios=Ratios(0.86, None, 0.96, 1.0),
    pruning=None,
    gates=(
        GateFigure("min-retention", 0.98, 0.9975, True),
        GateFigure("max-latency-ms", 1, 1.052, False),
    ),
    warnings=(Diagnostic("toolkit-fidelity", "they *differ* <b>", "look & see"),),
    stages=(StageRun("baseline", "done", 1.25), StageRun("convert", "done", 10.5)),
)
FAILED = TargetReport(
    target="rk3566",
    models=(),
    retention=NOTHING_COMPARED,
    ratios=Ratios(),
    pruning=None,
    stages=(StageRun("baseline", "done", 1.25), StageRun("convert", "failed", 3.0)),
    error=ToolkitError("it \x1b[31mcrashed\n<on> \ufffe", "try & again", "a long log"),
)
LINE = (
    "FAIL rk3588: max-latency-ms 1 does not hold: 1.052; 99.8% of top1 kept (99.0 to 100.5%); "
    "estimated 1.05 ms ±22%, 863.4 kB: 14% smaller than float16"
)


def report(*targets: TargetReport) -> Report:
    tool, toolkit = ToolVersion("rockpress", "0.1.0"), ToolVersion("rknn-toolkit2", "2.5.0")
    return Report(tool, toolkit, {"model": "a/cls.v2.onnx"}, targets)


def test_formats_are_found_by_their_suffix_in_either_case() -> None:
    assert {".html", ".json", ".md", ".xml"} <= set(format_suffixes())
    for suffix in format_suffixes():
        assert rendered(report(GOOD), suffix.upper()) == rendered(report(GOOD), suffix)


def test_a_suffix_without_a_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\.pdf is no format"):
        rendered(report(GOOD), ".pdf")


def test_the_suffixes_are_known_before_anything_is_imported() -> None:
    program = (
        "import sys; from rockpress.report.formats import format_suffixes; format_suffixes(); "
        "print(*sorted(name for name in sys.modules if name.startswith('rockpress')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "rockpress rockpress.report rockpress.report.formats\n", done.stderr


@pytest.mark.parametrize("suffix", format_suffixes())
def test_control_characters_in_a_file_do_not_act_on_a_terminal(suffix: str) -> None:
    text = rendered(report(GOOD, FAILED), suffix)
    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


# JUnit XML


def suites(*targets: TargetReport) -> tuple[ElementTree.Element, list[ElementTree.Element]]:
    root = ElementTree.fromstring(xml.render(report(*targets)).encode())
    return root, root.findall("testsuite")


def test_gates_are_test_cases_of_a_suite_for_each_target() -> None:
    root, (one,) = suites(GOOD)
    assert root.attrib == {"name": "rockpress", "tests": "3", "failures": "1", "errors": "0"}
    assert one.attrib == {
        **{"name": "rk3588", "tests": "3", "failures": "1", "errors": "0", "skipped": "0"},
        "time": "11.750",
    }
    assert [child.tag for child in one] == ["properties", *["testcase"] * 3, "system-out"]
    cases = {case.get("name"): case for case in one.iter("testcase")}
    assert list(cases) == ["built", "min-retention", "max-latency-ms"]
    assert {case.get("classname") for case in cases.values()} == {"rockpress.cls_v2.rk3588"}
    (failure,) = one.iter("failure")
    assert failure in cases["max-latency-ms"]
    assert failure.text == failure.get("message") == "max-latency-ms 1 does not hold: 1.052"
    properties = {each.get("name"): each.get("value") for each in one.iter("property")}
    assert properties == {
        "verdict": LINE,
        **{"model": "a/cls.v2.onnx", "rockpress": "0.1.0", "rknn-toolkit2": "2.5.0"},
        **{
            "size": "863.4 kB",
            "cycles": "231504",
            "latency": "1.05 ms (90 % of models within 0.85-1.30) estimated, NPU alone",
            "retention": "99.8%",
        },
    }


def test_warnings_are_the_output_of_the_suite() -> None:
    _, (one,) = suites(GOOD)
    expected = "warning: they *differ* <b> [toolkit-fidelity]\nhint: look & see"
    assert one.findtext("system-out") == expected
    assert suites(replace(GOOD, warnings=()))[1][0].find("system-out") is None


def test_a_target_that_failed_is_an_error() -> None:
    root, (_, failed) = suites(GOOD, FAILED)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    (case,) = failed.iter("testcase")
    (error,) = case
    assert error.tag == "error" and error.get("type") == "ToolkitError"
    assert error.text == "it \\x1b[31mcrashed\\n<on> \\ufffe\nhint: try & again"


def test_junit_without_a_gate_or_a_target_has_one_case() -> None:
    root, (one,) = suites(replace(GOOD, target=None, gates=(), stages=()))
    assert (root.get("tests"), one.get("name"), one.get("time")) == ("1", "onnxruntime", "0.000")
    assert one.find("testcase") is not None


# Markdown


def html_of(text: str) -> str:
    """As GitHub would render it, but for what it makes of mentions and addresses."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def test_markdown_begins_with_the_verdict() -> None:
    lines = md.render(report(GOOD)).splitlines()
    assert lines[0] == "# rockpress: ❌ FAIL"
    assert lines[2] == LINE.replace("~", r"\~")
    assert lines[4] == "**cls.v2.onnx** · rockpress 0.1.0 · rknn-toolkit2 2.5.0"
    good = replace(GOOD, gates=GOOD.gates[:1])
    passed = md.render(report(good))
    assert passed.startswith("# rockpress: ✅ PASS\n\nPASS rk3588: 99.8% of top1 kept")
    assert "; min-retention 98% holds\n" in passed
    several = md.render(report(GOOD, FAILED))
    assert several.startswith(f"# rockpress: ❌ FAIL\n\n- {LINE}\n- FAIL rk3566: nothing was built")


@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_an_application_and_the_ratio_have_lines_of_their_own(suffix: str) -> None:
    application = LatencyFigure("application-estimate", 4.0, 3.2, 5.0)
    rates = tuple(ThroughputFigure(n, 250.0 * n, 200.0 * n, 312.5 * n, "counted") for n in (1, 2))
    result = replace(GOOD.models[1], latency=(NPU, application), throughput=rates)
    ratios = Ratios(0.86, 0.7, 0.96, 1.0, 0.6, 0.82)
    shown = replace(GOOD, models=(GOOD.models[0], result), ratios=ratios)
    text = re.sub(r"[\\\xa0]", " ", rendered(report(shown), suffix)).replace("  ", " ")
    assert "n an application, with inputs and outputs: 4.00 ms (90 % of models within 3.20" in text
    assert "frames a second with 1, 2 contexts: 250, 500" in text
    assert "(90 %: -40.0% to -18.0%)" in text
    assert "90 % of models within 0.85" in text


@pytest.mark.parametrize("suffix", [".html", ".md", ".xml"])
def test_a_gate_says_which_end_of_an_interval_it_held_against_its_limit(suffix: str) -> None:
    gate = GateFigure("max-latency-ms", 2.5, 3.2, False, "high")
    assert "3.2 (high end of its interval)" in rendered(
        report(replace(GOOD, gates=(gate,))), suffix
    )


def test_cycles_that_fall_without_the_time_are_explained() -> None:
    layers = (layer(0, 0.3), layer(1, 0.1))
    text = "cycles fall and time does not: 75% of it is in layers that the compiler counts no"
    for latency, is_said in ((1.02, True), (0.8, False)):
        shown = replace(GOOD, ratios=Ratios(0.9, latency, 0.6, 1.0), layers=layers)
        assert (text in rendered(report(shown), ".md")) == is_said


def test_markdown_has_tables_that_render() -> None:
    page = html_of(md.render(report(GOOD, FAILED)))
    headings = [re.findall("<th.*?>(.*?)</th>", one) for one in page.split("<table>")[1:]]
    assert [one[0] for one in headings] == ["target", "gate", "model", "stage", "stage"]
    cells = re.findall("<td.*?>(.*?)</td>", page)
    assert cells[:8] == ["rk3588", "❌ FAIL", "99.8%", "863.4 kB", "-", "231.5 k", "1.05 ms", "-"]
    assert cells[8:16] == ["rk3566", "❌ FAIL", *["-"] * 6]
    assert cells[20:24] == ["max-latency-ms", "1", "1.052", "❌ does not hold"]


def test_markdown_folds_the_warnings_and_the_stages() -> None:
    page = html_of(md.render(report(GOOD)))
    folded = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    assert [summary for summary, _ in folded] == ["1 warning", "stages (12 s)"]
    expected = "<code>toolkit-fidelity</code>: they *differ* &lt;b&gt;. look &amp; see"
    assert f"<li>{expected}</li>" in folded[0][1]


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Zs", "Zl", "Zp"])))
@example("[a](http://b)")
@example("`` ` ``|$x$&lt;&#64;~~a~~<!-- -->")
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    page = html_of(f"| {escaped(text)} |\n|---|\n")
    (cell,) = re.findall("<th>(.*)</th>", page)
    assert unescape(cell.replace("<!-- -->", "")) == visible(text)


def test_markdown_mentions_nobody() -> None:
    assert escaped("@who #12 ask@who.org") == "@<!-- -->who #<!-- -->12 ask@<!-- -->who.org"
    assert escaped("http://a www.b") == "http:<!-- -->//a www<!-- -->.b"


# Annotations


def test_failed_gates_and_targets_are_annotations() -> None:
    assert to_annotations(report(GOOD, FAILED)) == [
        "::error title=rockpress rk3588%3A max-latency-ms::max-latency-ms 1 does not hold: 1.052",
        r"::error title=rockpress rk3566%3A failed::it \x1b[31mcrashed\n<on> \ufffe".replace(
            r"\ufffe", "\ufffe"
        ),
    ]
    assert to_annotations(report(replace(GOOD, gates=GOOD.gates[:1]))) == []


@pytest.mark.parametrize(("where", "shown"), [("true", True), ("", False)])
def test_annotations_are_shown_on_github_and_leave_the_document(
    where: str, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", where)
    show_report(report(GOOD), ResultScreen(as_json=True))
    streams = capsys.readouterr()
    assert json.loads(streams.out)["verdict"] == "fail"
    assert ("::error title=rockpress rk3588" in streams.err) is shown


# The terminal


def test_several_targets_have_a_table_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    ungated = replace(GOOD, target="rk3576", gates=())
    show_report(report(GOOD, FAILED, ungated), ResultScreen())
    out = capsys.readouterr().out
    assert [line.partition(":")[0] for line in out.splitlines()[:3]] == [
        *("FAIL rk3588", "FAIL rk3566", "no gate rk3576"),
    ]
    last = out.partition("all targets\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split() for line in last if line.startswith("rk")] == [
        ["rk3588", "FAIL", "99.8%", "863.4", "kB", "-", "231.5", "k", "1.05", "ms", "-"],
        ["rk3566", "FAIL", *["-"] * 6],
        ["rk3576", "no", "gate", "99.8%", "863.4", "kB", "-", "231.5", "k", "1.05", "ms", "-"],
    ]
    show_report(report(GOOD), ResultScreen())
    assert "all targets" not in capsys.readouterr().out


# docs/report.md


PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text()


def shown(language: str) -> str:
    """The example in that language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def test_the_examples_in_the_documentation_are_what_is_written() -> None:
    one = replace(GOOD, warnings=(Diagnostic("toolkit-layer-table", "no layer table", "see why"),))
    assert shown("xml") in xml.render(report(one)).replace("\n  ", "\n")
    start = shown("markdown").splitlines()
    assert md.render(report(one)).splitlines()[: len(start)] == start
    notes = [line for line in to_annotations(report(one)) if line in PAGE]
    assert len(notes) == 1
