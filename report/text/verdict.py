"""The first line of every report: whether the result is good, why, and what to know of it first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...core.diagnostics import Diagnostic
from ...core.percents import limit_percent, percent_text
from ...core.results.part_figures import PartFigure, farthest_part
from ...core.results.report import (
    ALIVE,
    FIDELITY,
    REGRESSION,
    GateFigure,
    Judgement,
    Report,
    TargetReport,
    Verdict,
)
from .board_text import where_text
from .cost_text import cost_text, is_worse, kept_text
from .latency_text import LATENCY_KINDS
from .similarity_text import part_name
from .units import finite, number_text

WORDS = {"fail": "FAIL", "pass": "PASS", "none": "no gate"}
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


# gates of what is a share
_SHARES = ("min-retention", REGRESSION)
_UNJUDGED = "nothing tells whether the outputs are right"


@dataclass(frozen=True)
class VerdictLine:
    """The word of a verdict, whose it is ("" where there is one only), and why."""

    verdict: Verdict
    subject: str
    text: str
    with_doubts: bool = False

    @property
    def word(self) -> str:
        """The verdict as every rendering has it."""
        return WORDS[self.verdict] + (" (with doubts)" if self.with_doubts else "")

    def __str__(self) -> str:
        return f"{' '.join(filter(None, (self.word, self.subject)))}: {self.text}"


def report_verdict(report: Report) -> str:
    """Return the line of a report: that of its target, or how many of several fail."""
    if len(report.targets) == 1:
        return str(target_verdict(report.targets[0]))
    names = [target.target or "" for target in report.targets if target.verdict == "fail"]
    failing = f"{', '.join(names)} of " if names else ""
    return f"{WORDS[report.verdict]}: {failing}{len(report.targets)} targets"


def target_verdict(target: TargetReport) -> VerdictLine:
    """Return the line of one target: why it fails, what it keeps, what it costs, what to doubt."""
    name = target.target or ""
    if target.error is not None:
        return VerdictLine("fail", name, f"nothing was built: {target.error.message}")
    doubts = [warning for warning in target.warnings if _is_in_verdict(warning, target)]
    ratios = {"result-slower": target.ratios.latency, "result-larger": target.ratios.size}
    texts = [each.text for each in doubts if not is_worse(ratios.get(each.code))]
    where = where_text(target)
    facts = [kept_text(target.retention, where), *([cost_text(target)] if target.models else [])]
    if target.retention.value is None and target.verdict == "none":
        facts.insert(0, f"{_seen(target.judgement)}{where}")
    line = judgement_line(target.judgement, facts, texts)
    is_doubtful = line.with_doubts or (bool(doubts) and line.verdict == "pass")
    return replace(line, subject=name, with_doubts=is_doubtful)


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


def judgement_line(
    judgement: Judgement, facts: Sequence[str] = (), doubts: Sequence[str] = (), where: str = ""
) -> VerdictLine:
    """Return the line of a result: what does not hold, facts, what holds, and doubts.

    ``where`` says on which samples, where there is nothing but the closeness to say.
    """
    failed = sorted(
        (gate for gate in judgement.gates if not gate.passed), key=lambda gate: gate.is_asked
    )
    asked = [] if failed else [gate for gate in judgement.gates if gate.is_asked]
    reasons = [_short(text, facts) for gate in failed for text in gate_texts(gate, judgement.parts)]
    held = [_short(gate_text(gate), facts) for gate in asked]
    is_judged = any(gate.name == ALIVE for gate in judgement.gates)
    if (reasons or held) and judgement.parts and not is_judged:
        doubts = [*doubts, _UNJUDGED]
    sentences = [*reasons, *facts, *held] or [f"{_seen(judgement)}{where}"]
    is_doubtful = judgement.verdict == "pass" and bool(doubts)
    return VerdictLine(judgement.verdict, "", "; ".join([*sentences, *doubts]), is_doubtful)


def _short(text: str, facts: Sequence[str]) -> str:
    """Return what a gate says without a value that one of the facts begins with."""
    before, _, value = text.rpartition(": ")
    is_said = value.endswith("%") and any(fact.startswith(f"{value} of ") for fact in facts)
    return before if is_said else text


def _seen(judgement: Judgement) -> str:
    """Return what there is to say where no gate was asked for and none fails."""
    if not judgement.gates:
        return _UNJUDGED
    part = farthest_part(judgement.parts)
    return f"the outputs are alive, the worst has {_db(part.closeness_db)}{_of_median(part)}"


def gate_texts(gate: GateFigure, parts: Sequence[PartFigure]) -> list[str]:
    """Return what a gate says: of those that are always on and fail, which part and why.

    >>> gate_texts(GateFigure("min-retention", 0.98, 0.9711, False), ())
    ['min-retention 98% does not hold: 97.1%']
    >>> scores = PartFigure("y", "scores", 18, 0.0, 0.0, True)
    >>> gate_texts(GateFigure("outputs-alive", 0.01, 0.0, False), [scores])
    ["'scores' of output 'y' is dead: its variance is 0 of the baseline's"]
    """
    if gate.name == ALIVE and not gate.passed:
        return [_dead_text(part) for part in parts if not part.is_alive]
    if gate.name == FIDELITY and not gate.passed:
        poor = [part for part in parts if part.is_judged and part.closeness_db < gate.limit]
        return [
            f"{part_name(part)} has {part.closeness_db:.2f} dB{_of_median(part)}, less than "
            f"{gate.limit:g}: it is mostly noise"
            for part in poor
        ]
    return [gate_text(gate)]


def gate_text(gate: GateFigure) -> str:
    """Return a gate with its limit and the value seen.

    >>> gate_text(GateFigure("min-retention", 0.98, 0.9711, False))
    'min-retention 98% does not hold: 97.1%'
    >>> gate_text(GateFigure("max-latency-ms", 5, 5.8, False, "high", "npu-estimate"))
    'max-latency-ms 5 does not hold: 5.8 (estimated, NPU alone; high end of its interval)'
    >>> gate_text(GateFigure("max-regression-size", 0.02, 0.0135, True))
    'max-regression-size 2% holds: 1.4%'
    """
    relation = "holds" if gate.passed else "does not hold"
    value = "there is no value" if math.isnan(gate.value) else gate_value(gate)
    return f"{gate.name} {limit_text(gate.name, gate.limit)} {relation}: {value}"


def limit_text(name: str, limit: float) -> str:
    """Return the limit of a gate: of retention, and of what may be worse than before, in per cent.

    >>> [limit_text(*gate) for gate in (("min-retention", 0.98), ("max-size-mb", 5), (FIDELITY, 3))]
    ['98%', '5', '3 dB']
    """
    if name == FIDELITY:
        return f"{limit:g} dB"
    return limit_percent(limit) if name.startswith(_SHARES) else f"{limit:g}"


def gate_value(gate: GateFigure) -> str:
    """Return the value that was held against the limit, of what kind, and which end it is."""
    notes = [LATENCY_KINDS.get(gate.kind, gate.kind)] if gate.kind else []
    notes += [f"{gate.end} end of its interval"] if gate.end else []
    value = number_text(gate.value, ".4g")
    if gate.name.startswith(_SHARES) and finite(gate.value) is not None:
        value = percent_text(gate.value, gate.limit)
    elif gate.name == FIDELITY:
        value = _db(gate.value)
    return f"{value} ({'; '.join(notes)})" if notes else value


def _dead_text(part: PartFigure) -> str:
    if not part.finite:
        return f"{part_name(part)} is dead: it is not finite where the baseline is"
    ratio = 0.0 if part.variance_ratio is None else part.variance_ratio
    return f"{part_name(part)} is dead: its variance is {ratio:.2g} of the baseline's"


def _of_median(part: PartFigure) -> str:
    if not part.is_of_median:
        return ""
    return f" on the median sample (all together {_db(part.sqnr_db)}, as some are far louder)"


def _db(value: float) -> str:
    return "no noise at all" if math.isinf(value) and value > 0 else f"{value:.1f} dB"
