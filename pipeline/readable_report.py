"""A report in the words of whoever reads it, with what is worth doing next."""

from __future__ import annotations

from dataclasses import replace

from ..convert.chips.targets import find_target
from ..core.diagnostics import in_order, render
from ..core.results.report import Report
from ..report.text.next_steps import next_steps
from .options.option_table import options_of


def rendered(report: Report, verb: str) -> Report:
    """Return the report in the reader's words: warnings once, by what they cost, and what next.

    What next is said of the options that the command ``verb`` has.
    """
    options = [*(described.flag for described in options_of(verb)), "report"]
    steps = next_steps(report, lambda name: find_target(name).dtypes, options)
    targets = [
        replace(target, warnings=in_order(warning.rendered() for warning in target.warnings))
        for target in report.targets
    ]
    return replace(report, targets=tuple(targets), next=tuple(map(render, steps)))
