"""The first line of every report: whether the result is good, why, and what to know of it first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ...core.diagnostics import Diagnostic
from ...core.results.part_figures import PartFigure, worst_part
from ...core.results.report import (
    ALIVE,
    FIDELITY,
    REGRESSION,
    GateFigure,
    Judgement,
    Report,
    TargetReport,
)
from .latency_text import LATENCY_KINDS
from .units import number_text

WORDS = {"fail": "FAIL", "pass": "pass", "none": "no gate"}
# warnings that say how much the result is worth, whatever the gates say
IN_VERDICT = (
    *("preprocess-chance", "preprocess-undecided", "preprocess-scale", "preprocess-mean-std"),
    *("preprocess-color", "preprocess-layout", "preprocess-resize"),
    *("evaluation-one-class", "calibration-overlap", "retention-class-lost"),
    *(
        "retention-indistinct",
        "retention-low-similarity",
        "retention-too-few-samples",
        "result-slower",
        "result-larger",
    ),
)


_UNJUDGED = "nothing tells whether the outputs are right"


def report_verdict(report: Report) -> str:
    """Return the line of a report: that of its target, or those of all with their names."""
    if len(report.targets) == 1:
        return target_verdict(report.targets[0])
    lines = [
        f"{target.target or 'ONNX Runtime'}: {target_verdict(target)}" for target in report.targets
    ]
    return f"{WORDS[report.verdict]}: {'; '.join(lines)}"


def target_verdict(target: TargetReport) -> str:
    """Return the line of one target, such as "FAIL: min-retention 0.98 does not hold: 0.9711"."""
    if target.error is not None:
        return f"{WORDS['fail']}: nothing was built: {target.error.message}"
    doubts = [warning.text for warning in target.warnings if _is_in_verdict(warning, target)]
    figure, asked = target.retention, any(gate.name == "min-retention" for gate in target.gates)
    left = figure.value is not None and not asked
    facts = [f"{figure.value:.4f} of {figure.metric} is left"] if left else []
    return judgement_text(target.judgement, facts, doubts)


def doubts_in(warnings: Iterable[Diagnostic]) -> list[str]:
    """Return the texts of those warnings that say how much a result is worth."""
    return [warning.text for warning in warnings if warning.code in IN_VERDICT]


def _is_in_verdict(warning: Diagnostic, target: TargetReport) -> bool:
    """Return whether the line says a warning: not what a gate that fails has said already."""
    similarity = ("retention-low-similarity", "retention-indistinct")
    is_repeated = warning.code in similarity and target.verdict == "fail"
    codes = [each.code for each in target.warnings]
    no_figure = warning.code == "retention-too-few-samples" and "preprocess-chance" in codes
    return warning.code in IN_VERDICT and not is_repeated and not no_figure


def judgement_text(
    judgement: Judgement, facts: Sequence[str] = (), doubts: Sequence[str] = ()
) -> str:
    """Return the line of a result: what does not hold or else what does, then facts and doubts."""
    failed = sorted(
        (gate for gate in judgement.gates if not gate.passed), key=lambda gate: gate.is_asked
    )
    shown = failed or [gate for gate in judgement.gates if gate.is_asked]
    reasons = [text for gate in shown for text in gate_texts(gate, judgement.parts)]
    word = WORDS[judgement.verdict]
    if reasons and judgement.parts and not any(gate.name == ALIVE for gate in judgement.gates):
        doubts = [*doubts, _UNJUDGED]
    if judgement.verdict == "pass" and doubts:
        word += ", with doubts"
    return f"{word}: {'; '.join([*(reasons or [_seen(judgement)]), *facts, *doubts])}"


def _seen(judgement: Judgement) -> str:
    """Return what there is to say where no gate was asked for and none fails."""
    if not judgement.gates:
        return _UNJUDGED
    return f"the outputs are alive, the worst has {_db(worst_part(judgement.parts).sqnr_db)}"


def gate_texts(gate: GateFigure, parts: Sequence[PartFigure]) -> list[str]:
    """Return what a gate says: of those that are always on and fail, which part and why.

    >>> gate_texts(GateFigure("min-retention", 0.98, 0.9711, False), ())
    ['min-retention 0.98 does not hold: 0.9711']
    >>> scores = PartFigure("y", "scores", 18, 0.0, 0.0, True)
    >>> gate_texts(GateFigure("outputs-alive", 0.01, 0.0, False), [scores])
    ["'scores' of output 'y' is dead: its variance is 0 of the baseline's"]
    """
    if gate.name == ALIVE and not gate.passed:
        return [_dead_text(part) for part in parts if not part.is_alive]
    if gate.name == FIDELITY and not gate.passed:
        poor = [part for part in parts if part.is_judged and part.sqnr_db < gate.limit]
        return [
            f"{part_name(part)} has {part.sqnr_db:.2f} dB, less than {gate.limit:g}: it is mostly "
            "noise"
            for part in poor
        ]
    return [gate_text(gate)]


def gate_text(gate: GateFigure) -> str:
    """Return a gate with its limit and the value seen.

    >>> gate_text(GateFigure("min-retention", 0.98, 0.9711, False))
    'min-retention 0.98 does not hold: 0.9711'
    >>> gate_text(GateFigure("max-latency-ms", 5, 5.8, False, "high", "npu-estimate"))
    'max-latency-ms 5 does not hold: 5.8 (estimated, NPU alone; high end of its interval)'
    >>> gate_text(GateFigure("max-regression-size", 0.02, 0.0135, True))
    'max-regression-size 2% holds: 1.35%'
    """
    relation = "holds" if gate.passed else "does not hold"
    value = "there is no value" if math.isnan(gate.value) else gate_value(gate)
    return f"{gate.name} {limit_text(gate.name, gate.limit)} {relation}: {value}"


def limit_text(name: str, limit: float) -> str:
    """Return the limit of a gate: of what may be worse than before in per cent.

    >>> limit_text("max-regression-size", 0.02), limit_text("min-retention", 0.98)
    ('2%', '0.98')
    """
    return f"{100 * limit:g}%" if name.startswith(REGRESSION) else f"{limit:g}"


def gate_value(gate: GateFigure) -> str:
    """Return the value that was held against the limit, of what kind, and which end it is."""
    notes = [LATENCY_KINDS.get(gate.kind, gate.kind)] if gate.kind else []
    notes += [f"{gate.end} end of its interval"] if gate.end else []
    is_change = gate.name.startswith(REGRESSION)
    value = f"{100 * gate.value:.4g}%" if is_change else number_text(gate.value, ".4g")
    return f"{value} ({'; '.join(notes)})" if notes else value


def part_name(part: PartFigure) -> str:
    """Return a part as a text names it."""
    whole = f"output {part.output!r}"
    return whole if part.part == part.output else f"{part.part!r} of {whole}"


def _dead_text(part: PartFigure) -> str:
    if not part.finite:
        return f"{part_name(part)} is dead: it is not finite where the baseline is"
    ratio = 0.0 if part.variance_ratio is None else part.variance_ratio
    return f"{part_name(part)} is dead: its variance is {ratio:.2g} of the baseline's"


def _db(value: float) -> str:
    return "no noise at all" if math.isinf(value) and value > 0 else f"{value:.1f} dB"
