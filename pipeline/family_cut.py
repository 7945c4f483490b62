"""Where to end a model, said alike by its family and by what quantization warns of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..core.diagnostics import Diagnostic, mentioned, option
from ..core.results.family_figure import FamilyFigure
from ..core.results.report import Report
from ..report.text.family_text import cut_options


def report_with_family_cut(report: Report, family: FamilyFigure | None) -> Report:
    """Return the report with the warnings of its targets as ``with_family_cut`` gives them."""
    targets = (
        replace(target, warnings=with_family_cut(target.warnings, family))
        for target in report.targets
    )
    return replace(report, targets=tuple(targets))


def with_family_cut(
    warnings: Iterable[Diagnostic], family: FamilyFigure | None
) -> tuple[Diagnostic, ...]:
    """Return the warnings, those that end the model where its family does with the same options.

    The graph alone has the tensors in the order of its nodes, and no head that reads them.
    """
    if family is None or "outputs" not in family.cut:
        return tuple(warnings)
    return tuple(_as_the_family_has_it(warning, family) for warning in warnings)


def _as_the_family_has_it(warning: Diagnostic, family: FamilyFigure) -> Diagnostic:
    for name, value in mentioned(warning.hint):
        if name == "outputs" and value and sorted(value) == sorted(_outputs(family)):
            hint = warning.hint.replace(option(name, value), cut_options(family))
            return replace(warning, hint=hint)
    return warning


def _outputs(family: FamilyFigure) -> list[str]:
    outputs = family.cut["outputs"]
    return list(map(str, outputs)) if isinstance(outputs, (list, tuple)) else []
