"""Results compared with the first of them, as far as they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...core.diagnostics import Diagnostic
from ...core.results.model_figures import AccuracyFigure, LatencyFigure
from .compared_result import AgainstFirst, ComparedResult, LayerChange, OpenedResult, SideBySide
from .layer_changes import layer_changes
from .tradeoff import has_same_measure, pareto_front

# by what factor the ratio of two estimates may be off: of "forms" of a model in one number format,
# or of "formats"
RatioBand = Callable[[str], float]

_HINTS = {
    "compare-model": "sizes and times are of different networks, and each retention of its own "
    "original",
    "compare-origin": "nothing beside them says what both are made from: times have both intervals",
    "compare-target": "cycles of two chips are not compared, and each time has its own band",
    "compare-samples": "their accuracy is not compared: measure them on the same samples",
    "compare-scale": "the ratio of the times is that of the estimates without their scales",
    "compare-toolkit": "size, cycles and time may differ for that alone",
}


def side_by_side(
    opened: Sequence[OpenedResult], ratio_band: RatioBand, warnings: Iterable[Diagnostic] = ()
) -> SideBySide:
    """Return the comparison of one result or more; ``warnings`` are those of reading them."""
    results = tuple(each.result for each in opened)
    return SideBySide(
        results,
        tuple(_against(result, results[0], ratio_band) for result in results[1:]),
        _layers(opened),
        pareto_front(results),
        (*warnings, *_differences(results)),
    )


def is_same_model(first: ComparedResult, second: ComparedResult) -> bool | None:
    """Return whether two results are of one original model; None where that cannot be told.

    That is by the digests of the models that were given and of what those were made from, else by
    the name and size of the file.
    """
    if first.origin and second.origin:
        return first.origin == second.origin
    digests = [{each.digest, each.origin} - {None} for each in (first, second)]
    if all(digests):
        return not digests[0].isdisjoint(digests[1]) or None
    sizes = {first.original_bytes, second.original_bytes} - {None}
    if first.model == second.model and len(sizes) < 2:
        return True
    # a .rknn has whatever name it was given, a report the name of its model
    is_rknn = any(each.verdict is None for each in (first, second))
    return None if is_rknn else False


def _against(result: ComparedResult, first: ComparedResult, ratio_band: RatioBand) -> AgainstFirst:
    latency, low, high = _latency_ratio(result, first, ratio_band)
    told_apart = None if low is None or high is None else low > 1 or high < 1
    same_chip, same_measure = result.target == first.target, has_same_measure(first, result)
    accuracy = (result.accuracy, first.accuracy) if same_measure else (None, None)
    retentions = [each.retention.value if each.retention else None for each in (result, first)]
    is_one = same_measure and bool(is_same_model(first, result))
    return AgainstFirst(
        result.name,
        _ratio(result.bytes, first.bytes),
        _ratio(result.cycles, first.cycles) if same_chip else None,
        *(latency, low, high, told_apart),
        _difference(*(figure.value if figure else None for figure in accuracy)),
        _are_told_apart(*accuracy),
        _difference(*retentions) if is_one else None,
    )


def _latency_ratio(
    result: ComparedResult, first: ComparedResult, ratio_band: RatioBand
) -> tuple[float | None, float | None, float | None]:
    """Return the ratio of the times and its interval; None where they are of different kinds.

    Two estimates of one model on one chip err alike. Others have the intervals of both.
    """
    after, before = result.latency, first.latency
    if result.ms is None or first.ms is None or after is None or before is None:
        return None, None, None
    if after.kind != before.kind:
        return None, None, None
    if after.scale != before.scale:  # like with like: as estimated, without
        after_by, before_by = (each.scale.factor if each.scale else 1.0 for each in (after, before))
    else:
        after_by = before_by = 1.0
    ratio = _ratio(result.ms / after_by, first.ms / before_by)
    if ratio is None:
        return None, None, None
    if after.kind == "board":
        return ratio, None, None
    band = _band(result, first, ratio_band)
    return ratio, ratio / band, ratio * band


def _band(result: ComparedResult, first: ComparedResult, ratio_band: RatioBand) -> float:
    """Return by what factor the ratio of two estimates may be off."""
    one_chip = (result.target, result.toolkit) == (first.target, first.toolkit)
    if one_chip and is_same_model(first, result):
        one_format = result.scheme is not None and result.scheme == first.scheme
        return ratio_band("forms" if one_format else "formats")
    return _own_band(result.latency) * _own_band(first.latency)


def _own_band(latency: LatencyFigure | None) -> float:
    if latency is None or not latency.ms or latency.high is None:
        return 1.0
    return latency.high / latency.ms


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _are_told_apart(after: AccuracyFigure | None, before: AccuracyFigure | None) -> bool | None:
    """Return whether two 95 % intervals leave each other out; None where one is not known."""
    if after is None or before is None:
        return None
    if None in (after.low, after.high, before.low, before.high):
        return None
    return bool(after.low > before.high or after.high < before.low)  # type: ignore[operator]


def _layers(opened: Sequence[OpenedResult]) -> tuple[LayerChange, ...]:
    """Return the layers that changed, where there are two builds for one chip."""
    if len(opened) != 2 or len({each.result.target for each in opened}) > 1:
        return ()
    return layer_changes(opened[0].layers, opened[1].layers) or ()


def _differences(results: Sequence[ComparedResult]) -> list[Diagnostic]:
    """Return what keeps results from being compared with the first, each code once."""
    first = results[0]
    names: dict[str, list[str]] = {}
    for result in results[1:]:
        for code in _codes(result, first):
            names.setdefault(code, []).append(result.name)
    texts = {
        "compare-model": f"of another model than {first.name} ({first.model})",
        "compare-origin": f"may be of another model than {first.name} ({first.model})",
        "compare-target": f"for another chip than {first.name} ({first.target})",
        "compare-samples": f"measured on other samples or with another metric than {first.name}",
        "compare-scale": f"timed at the scale of other measured models than {first.name}",
        "compare-toolkit": f"made with another rknn-toolkit2 than {first.name} ({first.toolkit})",
    }
    return [
        Diagnostic(code, f"{', '.join(names[code])}: {text}", _HINTS[code])
        for code, text in texts.items()
        if code in names
    ]


def _codes(result: ComparedResult, first: ComparedResult) -> list[str]:
    if result.error is not None or first.error is not None:
        return []
    both_measured = result.accuracy is not None and first.accuracy is not None
    both_timed = result.latency is not None and first.latency is not None
    same = is_same_model(first, result)
    holds = {
        "compare-model": same is False,
        "compare-origin": same is None,
        "compare-target": result.target != first.target,
        "compare-samples": both_measured and not has_same_measure(first, result),
        "compare-scale": both_timed and _scale(result) != _scale(first),
        "compare-toolkit": len({result.toolkit, first.toolkit} - {None}) > 1,
    }
    return [code for code, differs in holds.items() if differs]


def _scale(result: ComparedResult) -> object:
    return result.latency.scale if result.latency else None
