"""Warnings once, and in the order of what they cost."""

from __future__ import annotations

import re
from pathlib import Path

from rockpress.cli.target_results import warnings_of
from rockpress.core.diagnostics import Diagnostic, cost_rank, in_order


def test_the_first_of_a_code_about_a_subject_stays() -> None:
    early = Diagnostic("output-range-join", "seen in the float model", subject="boxes")
    late = Diagnostic("output-range-join", "seen in the quantized one", subject="boxes")
    other = Diagnostic("output-range-join", "seen", subject="masks")
    assert in_order([early, late, other, early]) == (early, other)


def test_the_build_tells_instead_of_the_audit() -> None:
    foretold, shown = (Diagnostic(f"cpu-fallback-{kind}", kind) for kind in ("operator", "layer"))
    assert in_order([foretold]) == (foretold,)
    assert in_order([foretold, shown]) == (shown,)


def test_what_costs_more_comes_first() -> None:
    """Dead, wrongly fed, badly calibrated, out of range, unfaithful, slow, on the CPU, comfort."""
    codes = [
        "toolkit-nan",
        "preprocess-scale",
        "preprocess-exif",
        "calibration-overlap",
        "output-range-join",
        "toolkit-fidelity",
        "toolkit-rule-disabled",
        "cpu-fallback-layer",
        "cache-folder",
    ]
    warnings = [Diagnostic(code, "seen") for code in sorted(codes)]
    assert [warning.code for warning in in_order(warnings)] == codes


def test_every_code_of_the_pages_has_a_place(root: Path) -> None:
    table = (root / "docs" / "report.md").read_text().partition("## Warnings")[2]
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert len(codes) > 40
    nowhere = cost_rank("made-up")
    assert [code for code in codes if cost_rank(code) == nowhere] == []


def test_what_all_targets_have_is_said_once_without_a_name() -> None:
    slow, dead = Diagnostic("cpu-fallback-layer", "slow"), Diagnostic("toolkit-nan", "dead")
    seen = Diagnostic("calibration-copies", "seen")
    targets = {"a": [slow, seen], "b": [slow, dead, seen], "c": [slow]}
    texts = [warning.text for warning in warnings_of(targets, {(seen.code, seen.text)})]
    assert texts == ["b: dead", "slow"]
    texts = [warning.text for warning in warnings_of({"a": [slow, dead], "b": [slow], "c": []})]
    assert texts == ["a: dead", "a, b: slow"]
