"""The report as one HTML file: no other file, nothing from the network, one script of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from ...core.diagnostics import Diagnostic
from ...core.errors import RockpressError
from ...core.results.report import GateFigure, Report, TargetReport
from ..text.family_text import family_text
from ..text.summary import HEADINGS, summary_note, summary_rows
from ..text.table import versions_of
from ..text.units import counted
from ..text.verdict import WORDS, gate_value, limit_text, report_verdict, target_verdict
from .accuracy_part import accuracy_card, tiles
from .board_part import board_card
from .elements import card, chip, data_table, folded_card
from .extra_parts import extra_cards
from .graph_part import graph_card
from .graph_script import HASH, SCRIPT
from .layers_part import layers_card
from .markup import Child, Markup, short_text, tag
from .models_part import changes_card, feed_card, models_card, quantization_card, stages_card
from .pruning_part import pruning_card
from .style import STYLE

# Even if an escape were missing, the browser would run nothing else and load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SCRIPT_POLICY = f"{_POLICY}; script-src '{HASH}'"
_SIGNS = {"fail": "✗ ", "pass": "✓ ", "none": ""}
_GOOD = {"fail": False, "pass": True, "none": None}


def to_html(report: Report) -> str:
    """Return the report as an HTML page; parts that it does not have are left out."""
    model = PurePath(str(report.recipe.get("model") or "model")).name
    several = len(report.targets) > 1
    has_graph = any(target.graph for target in report.targets)
    return html_page(
        f"{model}: {WORDS[report.verdict]} - rockpress",
        _header(report, model),
        _next(report.next),
        _summary(report),
        [_target(target, number, several) for number, target in enumerate(report.targets)],
        _recipe(report.recipe),
        _footer(report),
        tag("script", SCRIPT) if has_graph else None,
        policy=_SCRIPT_POLICY if has_graph else _POLICY,
    )


def html_page(title: str, *content: Child, policy: str = _POLICY) -> str:
    """Return a whole page: no other file, nothing from the network, no script but by ``policy``."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", STYLE),
    )
    body = tag("body", tag("main", content))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: Report, model: str) -> Markup:
    verdict = report.verdict
    names = ", ".join(target.target or "ONNX Runtime" for target in report.targets)
    return tag(
        "header",
        tag(
            "div",
            tag("div", f"rockpress report for {names}", class_="muted small"),
            tag("h1", model),
            tag("div", report_verdict(report), class_="muted"),
            tag("div", family_text(report.family), class_="muted small") if report.family else None,
        ),
        tag("div", f"{_SIGNS[verdict]}{WORDS[verdict]}", class_="verdict"),
        class_=f"card {verdict}",
    )


def _next(steps: Sequence[str]) -> Markup | None:
    """Return what is worth doing, the most needed first, in the words of the screen."""
    items = [tag("li", step) for step in steps]
    content = (tag("h2", "Next"), tag("ul", items))
    return tag("section", content, class_="card next", aria_label="Next") if steps else None


def _summary(report: Report) -> Markup | None:
    rows = []
    for number, cells in enumerate(summary_rows(report)):
        link = tag("a", cells[0], href=f"#t{number}")
        verdict = chip(cells[1], _GOOD[report.targets[number].verdict])
        rows.append([link, verdict, *cells[2:]])
    headings = (HEADINGS[0], "", *HEADINGS[2:])
    if not rows:
        return None
    table = data_table("All targets", headings, rows, numbers=len(headings) - 2)
    note = tag("p", summary_note(report), class_="muted small")
    return tag("section", table, note, class_="card", aria_label="All targets")


def _target(target: TargetReport, number: int, several: bool) -> Markup:
    name = target.target or "ONNX Runtime only"
    # with one target the title names it; a screen reader still gets every level of headings
    heading = tag("h2", name, class_=None if several else "unseen")
    line = tag("p", str(target_verdict(target)), class_="muted") if several else None
    if target.error is not None:
        parts: list[Markup | None] = [_error(target.error)]
    else:
        parts = [
            tiles(target),
            _gates(target.gates),
            changes_card(target.changes),
            tag(
                "div",
                accuracy_card(target),
                models_card(target.models, target.ratios),
                class_="pair",
            ),
            board_card(target),
            layers_card(target),
            graph_card(target, number),
            pruning_card(target),
            quantization_card(target.quantization),
            *extra_cards(target),
            feed_card(target.feed),
        ]
    parts = [*parts[:2], warnings_card(target.warnings), *parts[2:], stages_card(target.stages)]
    return tag("section", heading, line, parts, id=f"t{number}", aria_label=name)


def _error(error: RockpressError) -> Markup:
    hint = tag("p", f"hint: {error.hint}", class_="muted") if error.hint else None
    return card("Failed", tag("p", error.message, class_="bad"), hint)


def _gates(gates: Sequence[GateFigure]) -> Markup | None:
    if not gates:
        return None
    rows = [
        [
            tag("code", gate.name),
            limit_text(gate.name, gate.limit),
            gate_value(gate),
            chip("holds" if gate.passed else "does not hold", gate.passed),
        ]
        for gate in gates
    ]
    table = data_table("Gates", ("gate", "limit", "value", ""), rows, numbers=2)
    return card("Gates", table)


def warnings_card(warnings: Sequence[Diagnostic]) -> Markup | None:
    """Return the warnings with their hints, None where there are none."""
    if not warnings:
        return None
    texts = [
        tag(
            "div",
            tag("div", tag("code", warning.code, class_="warn")),
            tag("div", warning.text),
            tag("div", warning.hint, class_="muted") if warning.hint else None,
            class_="warning",
        )
        for warning in warnings
    ]
    return card(counted(len(warnings), "warning"), *texts)


def _recipe(recipe: Mapping[str, object]) -> Markup | None:
    rows = [[tag("code", name), tag("code", text)] for name, text in _flat(recipe)]
    return (
        folded_card("The recipe", data_table("The recipe", ("option", "value"), rows))
        if rows
        else None
    )


def _flat(recipe: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return names with dots, and values as short texts; what was not given is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}.")
        elif value not in (None, [], ()):
            values = value if isinstance(value, (list, tuple)) else [value]
            pairs.append((prefix + name, ", ".join(map(short_text, values))))
    return pairs


def _footer(report: Report) -> Markup:
    versions = versions_of(report)
    text = f"Made by {', '.join(versions)}. " if versions else ""
    note = "Estimates are of one NPU core; ratios of one model are more certain than figures."
    return tag("footer", text + note, class_="muted small")
