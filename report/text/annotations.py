"""Failed gates as annotations of a GitHub Actions run: lines that its runner acts on."""

from __future__ import annotations

from ...core.results.report import Report
from .escape import visible
from .verdict import gate_texts


def to_annotations(report: Report) -> list[str]:
    """Return a line for each gate that does not hold and for each target that failed.

    GitHub shows the first ten of a step. See its reference of workflow commands.
    """
    lines = []
    for target in report.targets:
        name = target.target or "ONNX Runtime"
        if target.error is not None:
            lines.append(_error(f"rockpress {name}: failed", target.error.message))
        for gate in target.gates:
            if not gate.passed:
                text = "; ".join(gate_texts(gate, target.parts))
                lines.append(_error(f"rockpress {name}: {gate.name}", text))
    return lines


def _error(title: str, message: str) -> str:
    """Return one workflow command. Characters that it is parsed by are written as in a URL.

    >>> _error("a: b", "50 %, not 40 %")
    '::error title=a%3A b::50 %25, not 40 %25'
    """
    title = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={title}::{_data(message)}"


def _data(text: str) -> str:
    """Return the text with the sign of an escape escaped; line ends are visible already."""
    return visible(text).replace("%", "%25")
