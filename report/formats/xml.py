"""Files that end in .xml: JUnit XML, a suite for each target, a test case for each gate.

There is no one standard, so only what the common readers (Jenkins, GitLab, GitHub actions for test
reports) agree on is used, in the order of the strict schema of Jenkins' xUnit plugin. GitLab shows
a case under its class name and keeps the first of two of one name, so that holds model and target;
it shows a failure's text and not its message, so both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...core.diagnostics import Diagnostic
from ...core.percents import percent_text
from ...core.results.part_figures import PartFigure
from ...core.results.report import GateFigure, Report, TargetReport
from ..text.board_layers_text import layers_text
from ..text.escape import xml_visible
from ..text.latency_text import latency_text
from ..text.units import size_text
from ..text.verdict import gate_texts, target_verdict

# A reader that finds no test at all calls the file broken, so this one is always there.
BUILT = "built"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def render(report: Report) -> str:
    """Return the report as a JUnit XML document with a final newline."""
    suites = [_suite(report, target) for target in report.targets]
    root = Element("testsuites", name="rockpress")
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in suites)))
    root.extend(suites)
    indent(root)
    return _DECLARATION + tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, target: TargetReport) -> Element:
    seconds = f"{target.seconds:.3f}"
    suite = Element(
        "testsuite",
        name=target.target or "onnxruntime",
        tests=str(1 + len(target.gates)),
        failures=str(sum(not gate.passed for gate in target.gates)),
        errors=str(int(target.error is not None)),
        skipped="0",
        time=seconds,
    )
    properties = SubElement(suite, "properties")
    for name, value in _properties(report, target).items():
        SubElement(properties, "property", name=name, value=xml_visible(value))
    class_name = _class_name(report, target)
    _add_built(suite, class_name, target, seconds)
    for gate in target.gates:
        _add_gate(suite, class_name, gate, target.parts)
    if target.warnings:
        SubElement(suite, "system-out").text = _warnings(target.warnings)
    return suite


def _properties(report: Report, target: TargetReport) -> dict[str, str]:
    """Return what was built and what it came to, as short texts."""
    tools = (tool for tool in (report.tool, report.toolkit) if tool.version)
    properties = {
        "verdict": str(target_verdict(target)),
        "model": str(report.recipe.get("model", "")),
    }
    properties.update((tool.name, str(tool.version)) for tool in tools)
    if target.models:
        result, retention = target.models[-1], target.retention.value
        properties["size"] = size_text(result.bytes)
        if result.cycles is not None:
            properties["cycles"] = str(result.cycles)
        if result.latency and result.latency[0].ms is not None:
            properties["latency"] = latency_text(result.latency[0])
        if retention is not None:
            properties["retention"] = percent_text(retention)
    if target.board and target.board.layers:
        properties["layers"] = layers_text(target.board.layers)
    return properties


def _class_name(report: Report, target: TargetReport) -> str:
    """Return the class name; dots part packages and classes, so no part has one."""
    model = PurePath(str(report.recipe.get("model") or "model")).stem.replace(".", "_")
    return xml_visible(f"rockpress.{model}.{target.target or 'onnxruntime'}")


def _add_built(suite: Element, class_name: str, target: TargetReport, seconds: str) -> None:
    case = SubElement(suite, "testcase", classname=class_name, name=BUILT, time=seconds)
    if (error := target.error) is not None:
        text = xml_visible(error.message)
        element = SubElement(case, "error", type=type(error).__name__, message=text)
        element.text = f"{text}\nhint: {xml_visible(error.hint)}" if error.hint else text


def _add_gate(
    suite: Element, class_name: str, gate: GateFigure, parts: Sequence[PartFigure]
) -> None:
    case = SubElement(suite, "testcase", classname=class_name, name=gate.name, time="0")
    if not gate.passed:
        text = xml_visible("; ".join(gate_texts(gate, parts)))
        SubElement(case, "failure", type="gate", message=text).text = text


def _warnings(warnings: tuple[Diagnostic, ...]) -> str:
    lines = []
    for warning in warnings:
        lines.append(f"warning: {xml_visible(warning.text)} [{warning.code}]")
        if warning.hint:
            lines.append(f"hint: {xml_visible(warning.hint)}")
    return "\n".join(lines)
