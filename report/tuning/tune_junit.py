"""A search as JUnit XML: a case for the pick, for each point of the front, and for each failure."""

from __future__ import annotations

from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...core.results.tune_report import TunePoint, TuneReport
from ..text.escape import xml_visible
from ..text.tune_text import (
    START,
    cost_text,
    front_points,
    range_text,
    reference_text,
    search_line,
    settings_text,
    tune_verdict,
)

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def tune_junit(report: TuneReport) -> str:
    """Return a JUnit XML document: the pick fails where no point has it, a failed point errs."""
    failed = [point for point in report.points if point.failure]
    front = front_points(report)
    root = Element("testsuites", name="rockpress")
    suite = SubElement(root, "testsuite", name=report.target)
    for element in (root, suite):
        element.set("tests", str(1 + len(front) + len(failed)))
        element.set("failures", str(int(report.chosen is None)))
        element.set("errors", str(len(failed)))
    suite.set("skipped", "0")
    suite.set("time", f"{report.seconds:.3f}")
    _add_pick(suite, report)
    for point in front:
        _add_front(suite, point, report)
    for point in failed:
        case = _case(suite, report, _name(point))
        reason = xml_visible(point.failure)
        SubElement(case, "error", type="point", message=reason).text = reason
    indent(root)
    return _DECLARATION + tostring(root, encoding="unicode") + "\n"


def _add_pick(suite: Element, report: TuneReport) -> None:
    properties = SubElement(suite, "properties")
    verdict = str(tune_verdict(report))
    values = {"verdict": verdict, "model": report.model, "search": search_line(report)}
    for each in report.references:
        cost = cost_text(each.cost, report.goal)
        values[reference_text(each)] = each.failure or f"{cost}, {range_text(each.retention)}"
    for name, value in values.items():
        SubElement(properties, "property", name=name, value=xml_visible(value))
    case = _case(suite, report, f"pick {report.pick}")
    if report.chosen is None:
        text = xml_visible(verdict)
        SubElement(case, "failure", type="pick", message=text).text = text


def _add_front(suite: Element, point: TunePoint, report: TuneReport) -> None:
    case = _case(suite, report, _name(point))
    lines = [
        f"{report.goal}: {cost_text(point.cost, report.goal)}",
        f"retention: {range_text(point.retention)}",
        *([f"on unseen samples: {range_text(point.unseen)}"] if point.unseen else []),
    ]
    SubElement(case, "system-out").text = "\n".join(map(xml_visible, lines))


def _name(point: TunePoint) -> str:
    return f"point {point.number}: {settings_text(point) or START}"


def _case(suite: Element, report: TuneReport, name: str) -> Element:
    # dots part packages and classes, so no part has one
    model = PurePath(report.model).stem.replace(".", "_")
    class_name = xml_visible(f"rockpress.{model}.{report.target}.tune")
    return SubElement(suite, "testcase", classname=class_name, name=xml_visible(name), time="0")
