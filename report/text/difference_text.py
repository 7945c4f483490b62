"""What differs between two models on samples, as lines."""

from __future__ import annotations

from ...core.percents import percent_range
from ...core.proportion import proportion_interval
from ...core.results.differences import ObjectPair
from ...core.results.prediction_rows import PredictionReport, SamplePrediction
from ...core.results.predictions import PredictedObject, PredictedText
from .prediction_text import aligned, place_text, prediction_lines
from .units import counted, memory_text


def sample_lines(row: SamplePrediction) -> list[str]:
    """Return a sample with what is said of it, or with what differs between two models."""
    if row.difference is None:
        first, *others = prediction_lines(row.prediction)
        return [f"{row.sample}: {first}", *(f"  {line}" for line in others)]
    lines = [f"{row.sample}: {row.difference.text}"]
    if row.difference.objects:
        pairs = [pair for pair in row.difference.objects if pair.fate != "same"]
        lines += [f"  {line}" for line in aligned(map(_cells, pairs))]
    elif isinstance(row.prediction, PredictedText) and row.against is not None:
        if not row.difference.differs:
            return [*lines, *(f"  {line}" for line in prediction_lines(row.prediction))]
        for name, prediction in (("model", row.prediction), ("against", row.against)):
            lines += [f"  {name}: {line}" for line in prediction_lines(prediction)]
    return lines


def summary_line(report: PredictionReport) -> str:
    """Return in how many samples two models differ, and how much; "" of one model."""
    if report.likeness is None:
        return ""
    count = len(report.samples)
    measure = next(row.difference.measure for row in report.samples if row.difference is not None)
    mean = f"{measure} {report.likeness:.3f}" + (" on average" if count > 1 else "")
    low, high = proportion_interval(report.differing / count, count)
    interval = f" (95 % interval {percent_range(low, high)})" if count > 1 else ""
    if not report.differing:
        return f"no difference in {counted(count, 'sample')}{interval}: {mean}"
    return f"{report.differing} of {counted(count, 'sample')} differ{interval}: {mean}"


def memory_lines(report: PredictionReport) -> list[str]:
    """Return what the models take on their chip, of those of which that is known."""
    return [f"{path}: {memory_text(memory)}" for path, memory in report.memory.items()]


def _cells(pair: ObjectPair) -> tuple[str, ...]:
    before, after = pair.before, pair.after
    if pair.fate == "lost" and before is not None:
        left = f"{before.score:.2f} -> " + (f"{after.score:.2f}" if after else "nothing")
        return "lost", before.name, left, place_text(before)
    if pair.fate == "new" and after is not None:
        risen = f"{before.score:.2f}" if before else "nothing"
        return "new", after.name, f"{risen} -> {after.score:.2f}", place_text(after)
    assert before is not None and after is not None
    return pair.fate, _named(pair.fate, before, after), _changed(before, after), _overlap(pair)


def _named(fate: str, before: PredictedObject, after: PredictedObject) -> str:
    return f"{before.name} -> {after.name}" if fate == "renamed" else before.name


def _changed(before: PredictedObject, after: PredictedObject) -> str:
    return f"{before.score:.2f} -> {after.score:.2f}"


def _overlap(pair: ObjectPair) -> str:
    assert pair.after is not None and pair.overlap is not None
    return f"{place_text(pair.after)}, IoU {pair.overlap:.2f}"
