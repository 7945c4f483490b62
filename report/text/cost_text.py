"""What a result keeps of the original and what it costs on the chip, in a few words."""

from __future__ import annotations

from dataclasses import replace

from ...core.percents import percent_range, percent_text
from ...core.results.model_figures import LatencyFigure, ModelRow, Ratios, RetentionFigure
from ...core.results.report import TargetReport
from .latency_text import IN_APPLICATION, band_text, rate_text
from .similarity_text import agreement_text
from .units import count_text, ms_text, size_text

_NO_LABELS = "no labels, so its accuracy is unknown"
# what is shown as 0 %
_SAME = 0.005


def kept_text(figure: RetentionFigure, where: str = "") -> str:
    """Return what is left of the metric with its 95 % interval, or why nobody knows.

    ``where`` is what the result ran on, with a space before it, "" where that is not said.

    >>> kept_text(RetentionFigure("top1", 0.986, 0.979, 0.9921, 400, 0.99, 30.0))
    '98.6% of top1 kept (97.9 to 99.2%)'
    >>> kept_text(RetentionFigure("top1", 0.986, None, None, 400, 0.99, 30.0), " on the board")
    '98.6% of top1 kept on the board'
    >>> kept_text(RetentionFigure(None, None, None, None, 60, 0.952, 30.0))
    'no labels, so its accuracy is unknown, agreement with the baseline 95.2% (86.6 to 98.4%)'
    """
    if figure.value is not None:
        interval = ""
        if figure.low is not None and figure.high is not None:
            interval = f" ({percent_range(figure.low, figure.high)})"
        return f"{percent_text(figure.value)} of {figure.metric} kept{where}{interval}"
    if figure.metric is not None:
        return f"no retention: a model's {figure.metric} is not above 0"
    if figure.agreement is None:
        return _NO_LABELS
    agreed = agreement_text(figure.agreement, figure.samples)
    return f"{_NO_LABELS}, agreement with the baseline {agreed}{where}"


def cost_text(target: TargetReport) -> str:
    """Return time, frames a second and size of the result, and these against the original's."""
    row = target.models[-1]
    costs = [text for text in (_time_text(row), size_text(row.bytes)) if text]
    kind = row.latency[0].kind if row.latency else ""
    is_host = kind == "host"  # where so much is noise
    ratios = replace(target.ratios, latency=None) if is_host else target.ratios
    than = "the original" if target.target is None else "float16"
    against = against_text(ratios, than, "estimated " if kind == "board" else "")
    return ", ".join(costs) + (f": {against}" if against else "")


def against_text(ratios: Ratios, than: str, by: str = "") -> str:
    """Return how much faster and smaller it is; "maybe" where an estimate's band has both signs.

    ``by`` is said before how much faster, where the time beside it is no estimate.

    >>> against_text(Ratios(size=0.52, latency=0.76, latency_low=0.6, latency_high=0.9), "float16")
    '24% faster and 48% smaller than float16'
    >>> against_text(Ratios(size=1.0, latency=2.29), "float16")
    '129% slower and as large as float16'
    >>> against_text(Ratios(latency=0.8, latency_low=0.6, latency_high=1.05), "float16")
    'maybe 20% faster than float16'
    >>> against_text(Ratios(latency=1.0, latency_low=0.9, latency_high=1.1), "float16")
    'as fast as float16'
    """
    texts = [
        _against(ratios.latency, "faster", "slower", "as fast"),
        _against(ratios.size, "smaller", "larger", "as large"),
    ]
    texts[0] = texts[0] and f"{by}{texts[0]}"
    low, high = ratios.latency_low, ratios.latency_high
    is_other = texts[0] and not texts[0].endswith("as fast")
    if is_other and low is not None and high is not None and low < 1 < high:
        texts[0] = f"maybe {texts[0]}"
    said = [text for text in texts if text]
    return (
        f"{' and '.join(said)} {'as' if said[-1].startswith('as ') else 'than'} {than}"
        if said
        else ""
    )


def is_worse(ratio: float | None) -> bool:
    """Return whether a ratio is one that ``against_text`` calls slower or larger."""
    return ratio is not None and ratio >= 1 + _SAME


def _against(ratio: float | None, less: str, more: str, same: str) -> str:
    if ratio is None:
        return ""
    if abs(ratio - 1) < _SAME:
        return same
    return f"{abs(ratio - 1):.0%} {less if ratio < 1 else more}"


def _time_text(row: ModelRow) -> str:
    latency = row.latency[0] if row.latency else LatencyFigure("npu-estimate", None)
    if latency.ms is None:
        return "" if row.cycles is None else f"{count_text(row.cycles)} cycles"
    rate = "" if latency.kind == "board" else rate_text(row.throughput)
    frames = f" ({rate} fps {IN_APPLICATION})" if rate else ""
    before, after = {
        "npu-estimate": ("estimated ", ""),
        "host": ("", " on this CPU"),
        "board": ("", " on the board"),
        "given": ("", " measured, by you"),
    }.get(latency.kind, ("", f" ({latency.kind})"))  # of a report by a later version
    return f"{before}{ms_text(latency.ms)}{band_text(latency)}{frames}{after}"
