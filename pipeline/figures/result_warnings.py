"""The warnings that the results give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...accuracy.compare import Comparison
from ...accuracy.gates import standing_gates
from ...accuracy.retention import too_few_samples
from ...convert.compiled_model import CompiledModel
from ...convert.latency.bands import is_slower
from ...core.diagnostics import Diagnostic, option
from ...core.percents import percent_range
from ...core.proportion import proportion_interval
from ...core.results.model_figures import ModelRow
from ...core.results.pruning_figures import PruningFigure
from ...core.results.usual_fidelity import USUAL_INT8
from ...report.documents.report_reader import metric_details
from ...report.text.similarity_text import part_name
from ..options.check_options import Gates
from .build_figures import Differing, differing

# a figure whose 95 % interval is wider than this rests on few samples
_WIDE = 0.1
# a class that is lost: known to the baseline, on as many samples as make it no chance
_KNOWN, _LEAST = 0.5, 3
_NAMED = 3  # classes in a text
_FEW = "retention-too-few-samples"
_MEND_INT8 = (
    f"where int8 is the cause, {option('scheme', 'float16')} shows it: keep more in 16 bits with "
    f"{option('mixed', 'sqnr=20')}, or end the model before the operators that int8 cannot hold, "
    f"with {option('outputs')}"
)
_MEND_BOARD = "first see why the board computes something else than the simulator (board-differs)"
_HALF = 0.5  # of the predictions
_FEWEST = 4  # calibration samples below which a single command says so


def result_warnings(
    built: CompiledModel | None,
    comparison: Comparison,
    gates: Gates,
    rows: Sequence[ModelRow] = (),
    own: Sequence[Diagnostic] = (),
    *,
    eval_count: int | None = None,
    pruning: PruningFigure | None = None,
    board_differs: bool = False,
) -> tuple[Diagnostic, ...]:
    """Return the warnings that the results give; of the ``rows`` the last is the result.

    They are of a result that is worse than float16 or than without ``pruning``, of too few samples
    (of which ``eval_count`` is the most that was asked for), of doubtful similarity, and its
    ``own`` of how it was ``built``. Where ``board_differs`` from the simulator, the number format
    is not what is blamed.
    """
    return (
        *_broken_outputs(comparison, _MEND_BOARD if board_differs else _MEND_INT8),
        *_worse_than_float16(rows, differing(built) if built else "formats"),
        *_no_faster_than_unpruned(pruning),
        *_lost_classes(comparison),
        *_too_few_samples(comparison, gates, eval_count),
        *_low_similarity(comparison),
        *_indistinct(comparison),
        *own,
    )


def look_warnings(comparison: Comparison, calib_count: int | None = None) -> tuple[Diagnostic, ...]:
    """Return what is doubtful about a model that a single command has made, without labels.

    The samples are those for calibration, of which ``calib_count`` is the most that was asked for.
    Hints name options of that command, or the command that has them.
    """
    few = _too_few_samples(comparison, Gates(), calib_count, "calib")
    labelled = f"rockpress check {option('eval')}"
    return (
        *(few if comparison.samples < _FEWEST else ()),
        *_low_similarity(comparison, labelled),
        *_indistinct(comparison, labelled),
    )


def _broken_outputs(comparison: Comparison, hint: str) -> Iterator[Diagnostic]:
    """Yield a result whose gates that are always on do not hold."""
    if all(gate.passed for gate in standing_gates(comparison.parts)):
        return
    yield Diagnostic(
        "outputs-broken",
        "parts of the outputs are dead, or differ from the baseline's by most of their size",
        hint,
    )


def _worse_than_float16(rows: Sequence[ModelRow], of: Differing) -> Iterator[Diagnostic]:
    """Yield what a result that costs more than the original in float16 costs."""
    reference = next((row for row in rows if row.stage == "reference-float16"), None)
    if reference is None:
        return
    result, hint = rows[-1], f"take {option('scheme', 'float16')}"
    ms = [row.predicted.ms if row.predicted else None for row in (result, reference)]
    if ms[0] is not None and ms[1] is not None and is_slower(ms[0], ms[1], of):
        text = f"estimated slower than in float16, {ms[0]:.2f} ms instead of {ms[1]:.2f}"
        more = f"{hint}, or {option('mixed', 'off')} where tensors are in 16 bits"
        yield Diagnostic("result-slower", text, more)
    if result.bytes > reference.bytes:
        text = f"larger than in float16, {result.bytes:,} bytes instead of {reference.bytes:,}"
        yield Diagnostic("result-larger", text, hint)


def _no_faster_than_unpruned(pruning: PruningFigure | None) -> Iterator[Diagnostic]:
    """Yield a result that pruning has not made faster, by the builds of both."""
    if pruning is None or pruning.latency_ratio is None or pruning.latency_ratio < 1:
        return
    if pruning.attempts:
        hint = f"leave {option('max-drop')} out, or let it lose more"
    elif pruning.budget is not None:
        hint = f"leave {option('prune')} out, or prune more"
    else:
        hint = f"leave {option('sparsity')} out"
    change = pruning.latency_ratio - 1
    text = f"pruning made it no faster: latency {change:+.1%} over the unpruned build, estimated"
    yield Diagnostic("pruning-no-faster", text, hint)


def _lost_classes(comparison: Comparison) -> Iterator[Diagnostic]:
    """Yield the classes that the baseline knows and the result never gets right."""
    details = metric_details(comparison.details)
    lost = [
        row.class_name
        for row in (details.classes if details and details.classes else ())
        if row.baseline >= _KNOWN and row.candidate == 0 and (row.samples or _LEAST) >= _LEAST
    ]
    if lost:
        named = ", ".join(lost[:_NAMED]) + (
            f" and {len(lost) - _NAMED} more" * (len(lost) > _NAMED)
        )
        yield Diagnostic(
            "retention-class-lost",
            f"never right any more: class {named}",
            f"see what became of its samples in {option('report', 'report.html')}",
        )


def _too_few_samples(
    comparison: Comparison, gates: Gates, most: int | None = None, source: str = "eval"
) -> Iterator[Diagnostic]:
    """Yield a warning of too few samples of the option ``source``, ``most`` of them asked for."""
    retention, count = comparison.retention, comparison.samples
    # where fewer were drawn than there may be, the samples are there already
    more = f"give more with {option(f'{source}-count' if count == most else source)}"
    if retention is not None and retention.low is not None and retention.high is not None:
        limit = gates.min_retention
        doubt = too_few_samples(retention, limit) if limit else None
        if doubt is not None:
            hint = more if doubt.limit is None else _instead_of_more(doubt.limit, limit or 0.0)
            yield Diagnostic(_FEW, doubt.text, hint)
        elif retention.high - retention.low > _WIDE:
            yield Diagnostic(_FEW, _spread(count, "retention", retention.low, retention.high), more)
    elif retention is None and comparison.agreement is not None:
        low, high = proportion_interval(comparison.agreement, count)
        if high - low > _WIDE:
            yield Diagnostic(_FEW, _spread(count, "agreement", low, high), more)


def _instead_of_more(reached: float, limit: float) -> str:
    """Return what to do where no number of samples would: ask for what these can tell."""
    if reached > limit:
        return "take it that the limit does not hold, or lower it"
    return f"these can tell no more than that {option('min-retention', reached)} holds"


def _spread(count: int, figure: str, low: float, high: float) -> str:
    few = "1 sample is few" if count == 1 else f"{count} samples are few"
    return f"{few}: {figure} is between {percent_range(low, high).replace(' to ', ' and ')}"


def _indistinct(comparison: Comparison, labelled: str = option("eval")) -> Iterator[Diagnostic]:
    """Yield the parts whose error is larger than what the samples differ in, if they are alive."""
    parts = [
        part_name(part)
        for part in comparison.parts
        if part.is_alive and not part.ranked and (part.distinct_db or 0.0) < 0
    ]
    kind = "labelled samples" if comparison.metric is None else "samples"
    if parts:
        yield Diagnostic(
            "retention-indistinct",
            f"{' and '.join(parts)} {'differs' if len(parts) == 1 else 'differ'} more from the "
            "baseline than its samples do from one another",
            f"measure with {kind} ({labelled}) that differ as much as real ones",
        )


def _is_mostly_other(comparison: Comparison) -> bool:
    """Return whether even the upper end of the agreement's interval is less than half."""
    agreed = comparison.agreement
    return agreed is not None and proportion_interval(agreed, comparison.samples)[1] < _HALF


def _low_similarity(comparison: Comparison, labelled: str = option("eval")) -> Iterator[Diagnostic]:
    """Without labels nothing else would say that the outputs are farther off than usual."""
    medians = [part for part in comparison.parts if part.is_judged and part.is_of_median]
    median = min((part.closeness_db for part in medians), default=math.inf)
    least = min(comparison.sqnr_db, median)
    if comparison.metric is not None:
        return
    which = " on the median sample" if median < comparison.sqnr_db else ""
    if least < USUAL_INT8.low_db:
        text = (
            f"the outputs are farther from the baseline's than usual: {least:.1f} dB{which}, "
            f"where {USUAL_INT8}"
        )
    elif _is_mostly_other(comparison):
        text = "most predictions are not the baseline's"
    else:
        return
    yield Diagnostic(
        "retention-low-similarity",
        text,
        f"measure with labelled samples ({labelled}), and check that the samples are typical",
    )
