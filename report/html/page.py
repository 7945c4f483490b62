"""The report as one HTML file: no script, no other file, nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from ...core.results import Report
from ..formats.document import to_document
from ..text.units import UNKNOWN, count_text, number_text, size_text
from .accuracy_part import accuracy_card, tiles
from .elements import card, chip, data_table, folded_card
from .extra_parts import extra_cards
from .layers_part import layers_card
from .markup import Markup, joined, tag
from .models_part import changes_card, feed_card, models_card, quantization_card, stages_card
from .pruning_part import pruning_card
from .style import STYLE

# Even if an escape were missing, the browser would run and load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(report: Report) -> str:
    """The report as an HTML page with a final newline."""
    return page(to_document(report, pictures=True))


def page(document: dict[str, Any]) -> str:
    """The page of a report's document; parts that it does not have are left out."""
    model = PurePath(str(document["recipe"].get("model") or "model")).name
    targets = document["targets"]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{model}: {document['verdict']} - rockpress"),
        tag("style", STYLE),
    )
    main = tag(
        "main",
        _header(document, model),
        _summary(targets) if len(targets) > 1 else None,
        [_target(one, number, len(targets) > 1) for number, one in enumerate(targets)],
        _recipe(document["recipe"]),
        _footer(document),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', main), lang='en')}\n"


def _header(document: dict[str, Any], model: str) -> Markup:
    gates = [gate for target in document["targets"] for gate in target["gates"]]
    failed = sum(not gate["pass"] for gate in gates)
    broken = sum(target["error"] is not None for target in document["targets"])
    told = [_failing(failed, len(gates))] if failed else []
    told += [f"{broken} of {len(document['targets'])} targets failed"] if broken else []
    if not told and gates:
        told = [f"all {len(gates)} gates hold" if len(gates) > 1 else "the gate holds"]
    kind, verdict = _verdict(document["verdict"] == "pass", bool(gates))
    names = ", ".join(one["target"] or "ONNX Runtime" for one in document["targets"])
    return tag(
        "header",
        tag(
            "div",
            tag("div", f"rockpress report for {names}", class_="muted small"),
            tag("h1", model),
            tag("div", "; ".join(told) or "it would pass whatever came out", class_="muted"),
        ),
        tag("div", verdict, class_="verdict"),
        class_=f"card {kind}",
    )


def _failing(failed: int, gates: int) -> str:
    return (
        "the gate does not hold"
        if gates == 1
        else f"{failed} of {gates} gates {'does' if failed == 1 else 'do'} not hold"
    )


def _verdict(passed: bool, gated: bool) -> tuple[str, str]:
    """Without a gate nothing was asked, so green would say too much."""
    if not passed:
        return "fail", "✗ FAIL"
    return ("pass", "✓ PASS") if gated else ("open", "no gate was set")


def _summary(targets: Sequence[dict[str, Any]]) -> Markup:
    rows = [_summary_row(one, number) for number, one in enumerate(targets)]
    headings = ("target", "", "retention", "size", "cycles", "latency")
    return tag("section", data_table(headings, rows, numbers=4), class_="card")


def _summary_row(target: dict[str, Any], number: int) -> list[Markup | str]:
    passed = target["error"] is None and all(gate["pass"] for gate in target["gates"])
    link = tag("a", target["target"] or "ONNX Runtime", href=f"#t{number}")
    verdict = chip("pass" if passed else "FAIL", passed)
    if not target["models"]:
        return [link, verdict, *[UNKNOWN] * 4]
    result, kept = target["models"][-1], target["retention"]["value"]
    latency = result["latency"][0] if result["latency"] else {"ms": None, "cycles": None}
    return [
        link,
        verdict,
        number_text(kept, ".4f"),
        size_text(result["bytes"]),
        count_text(latency["cycles"]),
        UNKNOWN if latency["ms"] is None else f"{latency['ms']:.2f} ms",
    ]


def _target(target: dict[str, Any], number: int, several: bool) -> Markup:
    name = target["target"] or "ONNX Runtime only"
    # with one target the title names it; a screen reader still gets every level of headings
    heading = tag("h2", name, class_=None if several else "unseen")
    if target["error"] is not None:
        parts: list[Markup | None] = [_error(target["error"])]
    else:
        parts = [
            tiles(target),
            _gates(target["gates"]),
            changes_card(target.get("changes", ())),
            tag("div", accuracy_card(target), models_card(target["models"]), class_="pair"),
            layers_card(target),
            pruning_card(target["pruning"]),
            quantization_card(target["quantization"]),
            *extra_cards(target),
            feed_card(target.get("feed", {})),
        ]
    warnings = _warnings(target["warnings"])
    stages = stages_card(target["stages"])
    parts = [*parts[:2], warnings, *parts[2:], stages]
    return tag("section", heading, parts, id=f"t{number}", aria_label=name)


def _error(error: dict[str, str]) -> Markup:
    hint = tag("p", f"hint: {error['hint']}", class_="muted") if error["hint"] else None
    return card("Failed", tag("p", error["message"], class_="bad"), hint)


def _gates(gates: Sequence[dict[str, Any]]) -> Markup | None:
    if not gates:
        return None
    rows = [
        [
            tag("code", gate["name"]),
            number_text(gate["limit"], "g"),
            number_text(gate["value"], ".4g"),
            chip("holds" if gate["pass"] else "does not hold", gate["pass"]),
        ]
        for gate in gates
    ]
    table = data_table(("gate", "limit", "value", ""), rows, numbers=2)
    return card("Gates", table)


def _warnings(warnings: Sequence[dict[str, str]]) -> Markup | None:
    if not warnings:
        return None
    shown = [
        tag(
            "div",
            tag("div", tag("code", one["code"], class_="warn")),
            tag("div", one["text"]),
            tag("div", one["hint"], class_="muted") if one["hint"] else None,
            class_="warning",
        )
        for one in warnings
    ]
    title = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return card(title, *shown)


def _recipe(recipe: dict[str, Any]) -> Markup | None:
    rows = [[tag("code", name), tag("code", text)] for name, text in _flat(recipe)]
    return folded_card("The recipe", data_table(("option", "value"), rows)) if rows else None


def _flat(value: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names with dots, and values as short texts; what was not given is left out."""
    found: list[tuple[str, str]] = []
    for name, one in value.items():
        if isinstance(one, dict):
            found += _flat(one, f"{before}{name}.")
        elif one not in (None, []):
            texts = one if isinstance(one, list) else [one]
            found.append((before + name, ", ".join(str(joined(text)) for text in texts)))
    return found


def _footer(document: dict[str, Any]) -> Markup:
    both = (document["tool"], document["toolkit"])
    versions = [f"{one['name']} {one['version']}" for one in both if one.get("version")]
    text = f"Made by {', '.join(versions)}. " if versions else ""
    what = "Estimates are of one NPU core; ratios of one model are more certain than figures."
    return tag("footer", text + what, class_="muted small")
