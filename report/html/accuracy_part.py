"""The HTML report's figures at a glance, and its accuracy with the intervals drawn."""

from __future__ import annotations

from typing import Any

from ..text.units import count_text, number_text, size_text
from .charts import interval_chart, scale_of, whisker
from .elements import STAGES, bar_row, card
from .markup import Markup, tag

_RUNNERS = {
    "onnxruntime": "ONNX Runtime",
    "rknn-simulator": "the RKNN simulator",
    "board": "the board",
}


def tiles(target: dict[str, Any]) -> Markup:
    """The result in four figures, each with what it was or how certain it is."""
    result, ratios = target["models"][-1], target["ratios"]
    against = {name: _against(one, target["target"] is None) for name, one in ratios.items()}
    size = _tile("Size", size_text(result["bytes"]), against.get("size", ""))
    shown = [_kept_tile(target["retention"]), size]
    latency = result["latency"][0] if result["latency"] else None
    if latency and latency["cycles"] is not None:
        told = against.get("cycles", "")
        shown.append(_tile("NPU cycles", count_text(latency["cycles"]), told))
    if latency and latency["ms"] is not None:
        shown.append(_latency_tile(latency, against.get("latency", "")))
    return tag("div", shown, class_="tiles")


def _kept_tile(kept: dict[str, Any]) -> Markup:
    if kept["value"] is not None:
        return _tile("Retention", f"{kept['value']:.4f}", f"95\u00a0%: {_interval(kept)}")
    if kept["agreement"] is not None:
        return _tile("Agreement", f"{kept['agreement']:.1%}", "with the original, no labels")
    return _tile("Similarity", _decibel(kept["sqnr_db"]), "SQNR of the outputs, no labels")


def _latency_tile(latency: dict[str, Any], against: str) -> Markup:
    kinds = {"npu-estimate": "estimated", "host": "measured, host CPU", "board": "measured, board"}
    told = kinds.get(latency["kind"], latency["kind"])
    if latency["low"] is not None and latency["high"] is not None:
        told += f", {latency['low']:.2f} to {latency['high']:.2f}"
    return _tile("Latency", f"{latency['ms']:.2f} ms", f"{against}; {told}" if against else told)


def _tile(name: str, value: str, told: str) -> Markup:
    return tag(
        "div",
        tag("span", name, class_="muted small"),
        tag("b", value),
        tag("span", told, class_="muted small"),
        class_="tile",
    )


def _against(ratio: float | None, on_host: bool) -> str:
    """The change; of a ``.rknn`` against the original model compiled in float16."""
    what = "the original" if on_host else "float16"
    return "" if ratio is None else f"{ratio - 1:+.1%} against {what}"


def _interval(figure: dict[str, Any]) -> str:
    return f"{number_text(figure['low'], '.4f')} to {number_text(figure['high'], '.4f')}"


def _decibel(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f} dB"


def accuracy_card(target: dict[str, Any]) -> Markup:
    """Retention against its gate, and the metric of every form of the model."""
    kept = target["retention"]
    return card(
        "What is left of the accuracy",
        _retention(kept, _limit(target)),
        _metrics(target["models"]),
        tag("p", _similarity(kept), class_="muted small"),
    )


def _retention(kept: dict[str, Any], limit: float | None) -> Markup | None:
    if None in (kept["value"], kept["low"], kept["high"]):
        why = "No labels were given, so accuracy is not known."
        if kept["metric"]:
            why = f"A model's {kept['metric']} is not above 0, so there is no ratio."
        return tag("p", why)
    told = (
        f"{kept['value']:.1%} of the original's {kept['metric']} is kept, on {kept['samples']} "
        f"samples; the 95\u00a0% interval is {_interval(kept)}."
    )
    title = f"Retention {kept['value']:.4f}, 95 % interval {_interval(kept)}"
    if limit is not None:
        title += f", limit {limit:g}"
    chart = interval_chart(title, kept["value"], kept["low"], kept["high"], limit)
    return tag("div", tag("p", told, _difference(kept)), chart)


def _difference(kept: dict[str, Any]) -> str:
    """The change in the metric itself, and whether chance alone would explain it."""
    change = kept.get("difference")
    if change is None:
        return ""
    ends = [kept.get("difference_low"), kept.get("difference_high")]
    told = f" The {kept['metric']} changed by {change:+.4f}"
    if None not in ends:
        told += f" ({ends[0]:+.4f} to {ends[1]:+.4f})"
    if kept.get("mcnemar") is not None:
        told += f"; so large a difference comes by chance with p = {kept['mcnemar']:.2g} (McNemar)"
    return f"{told}."


def _limit(target: dict[str, Any]) -> float | None:
    gates = (one["limit"] for one in target["gates"] if one["name"] == "min-retention")
    return next(gates, None)


def _metrics(models: list[dict[str, Any]]) -> Markup | None:
    """The metric of each form with its interval, on one axis."""
    measured = [(one["stage"], one["accuracy"]) for one in models if one["accuracy"]]
    found = [(stage, one) for stage, one in measured if one["value"] is not None]
    if not found:
        return None
    values = [figure[end] for _, figure in found for end in ("low", "value", "high")]
    scale = scale_of([one for one in values if one is not None])
    rows = [
        bar_row(
            STAGES.get(stage, stage),
            whisker(scale, one["value"], one["low"], one["high"]),
            f"{one['value']:.4f}",
        )
        for stage, one in found
    ]
    runners = ", ".join(dict.fromkeys(_RUNNERS.get(one["runner"], "") for _, one in found))
    note = f"{found[-1][1]['metric']} with its 95\u00a0% interval, measured in {runners}"
    return tag("div", tag("p", note, class_="muted small"), rows)


def _similarity(kept: dict[str, Any]) -> str:
    told = f"Outputs differ from the original's by noise of {_decibel(kept['sqnr_db'])} (SQNR)"
    if kept["agreement"] is not None:
        told += f"; {kept['agreement']:.1%} of the samples get the same class"
    return f"{told}."
