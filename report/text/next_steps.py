"""What is worth doing next: a few steps, each of them by one small rule, the most needed first.

A rule is a function of a report's target that gives a sentence or None. Options are mentioned as
values (see diagnostics.py), so that a recipe and the command line say them in their own words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...core.diagnostics import mentions, option
from ...core.results.report import Report, TargetReport
from .cost_text import is_worse
from .limit_budget import needed_budgets
from .units import counted

MOST = 4
# below this share of the baseline's metric something should be done about it
GOOD_RETENTION = 0.98
_LARGE_ON_CPU, _LARGE_IN_16_BITS = 0.05, 0.4
# of the outputs, where pruning is tried first
_SMALL_DROP = 0.01
_BROKEN = ("output-range-join", "outputs-broken", "float16-overflow", "retention-class-lost")
# a known cause first
_BOARD = ("board-differs", "board-joined", "board-layer")
_PREPROCESS = tuple(
    f"preprocess-{what}" for what in ("scale", "color", "mean-std", "resize", "layout")
)


@dataclass(frozen=True)
class Situation:
    """One target's result, the recipe that gave it, and the number formats that its chip has."""

    target: TargetReport
    recipe: Mapping[str, object]
    schemes: Sequence[str]

    @property
    def differs_on_board(self) -> bool:
        """Whether the board computes something else than the simulator, so than was built."""
        return any(warning.code in _BOARD for warning in self.target.warnings)

    @property
    def is_broken(self) -> bool:
        """Whether a gate that is always on does not hold, or the board computes otherwise."""
        return self.differs_on_board or any(
            not gate.passed and not gate.is_asked for gate in self.target.gates
        )

    @property
    def is_poor(self) -> bool:
        """Whether less of the metric is left than was asked for, or than is usual."""
        gates = [gate for gate in self.target.gates if gate.name == "min-retention"]
        if gates:
            return not gates[0].passed
        value = self.target.retention.value
        return value is not None and value < GOOD_RETENTION

    @property
    def is_int8(self) -> bool:
        """Whether it was quantized as no option has it otherwise."""
        return self.recipe.get("scheme") == "w8a8" and self.target.quantization is not None


Rule = Callable[[Situation], str | None]


def next_steps(
    report: Report, schemes_of: Callable[[str], Sequence[str]], options: Sequence[str]
) -> list[str]:
    """Return at most ``MOST`` sentences on the target that needs them most.

    ``schemes_of`` names the number formats of a chip, ``options`` are those that the command has: a
    step with another one is none that could be taken.
    """
    built = [target for target in report.targets if target.error is None]
    if not built:
        return []
    target = min(built, key=_need)
    schemes = schemes_of(target.target) if target.target else ()
    situation = Situation(target, report.recipe, schemes)
    texts = [text for rule in RULES if (text := rule(situation)) is not None]
    # what mends a board is often an option of another command, which its text names
    always = mend_board(situation)
    taken = {text for text in texts if text == always or set(mentions(text)) <= set(options)}
    possible = [text for text in dict.fromkeys(texts) if text in taken]
    name = f"{target.target}: " if len(report.targets) > 1 else ""
    return [f"{name}{text}" for text in possible[:MOST]]


def _need(target: TargetReport) -> tuple[bool, float]:
    value = target.retention.value
    return target.passed, math.inf if value is None else value


def mend_board(situation: Situation) -> str | None:
    """Say what to do about a board that computes something else than the simulator."""
    hint = _hint(situation, _BOARD)
    return None if hint is None else f"the board first: {hint}"


def mend_outputs(situation: Situation) -> str | None:
    """Say what to do about outputs that are dead or mostly noise, as their warning has it."""
    if situation.differs_on_board or not situation.is_broken:
        return None
    hint = _hint(situation, _BROKEN)
    return None if hint is None else f"the outputs first: {hint}"


def feed_rightly(situation: Situation) -> str | None:
    """Say how the model wants its inputs, where that was seen to be otherwise."""
    hint = _hint(situation, _PREPROCESS)
    return None if hint is None else f"the preprocessing first: {hint}"


def prune_less(situation: Situation) -> str | None:
    """Say so where pruning has cost most of what is lost."""
    if situation.differs_on_board or not situation.is_poor:
        return None
    if _costliest_form(situation.target) != "pruned":
        return None
    if situation.recipe.get("recover") == "distill" or situation.recipe.get("sparsity"):
        return f"most of it is lost by pruning: a smaller budget of {option('prune')} costs less"
    return (
        "most of it is lost by pruning: a smaller budget, or training afterwards with "
        f"{option('recover', 'distill')} (needs PyTorch)"
    )


def keep_more_bits(situation: Situation) -> str | None:
    """Say which option leaves most in 16 bits, where int8 has cost too much."""
    if not (situation.is_poor or situation.is_broken) or not situation.is_int8:
        return None
    if situation.differs_on_board or _costliest_form(situation.target) == "pruned":
        return None
    if not str(situation.recipe.get("mixed")).startswith("sqnr"):
        if situation.target.model("reference-float16") is None:
            return None
        return f"leave in float16 what int8 cannot hold: {option('mixed', 'sqnr=25')}"
    if "w8a16" in situation.schemes:
        return f"16 bits for all activations: {option('scheme', 'w8a16')}"
    if "float16" in situation.schemes:
        return f"see what the chip can do without int8: {option('scheme', 'float16')}"
    return None


def build_faster(situation: Situation) -> str | None:
    """Say what a faster build that was set aside would cost, and how to have it."""
    warnings = {each.code: each for each in situation.target.warnings}
    faster = warnings.get("toolkit-faster-build")
    if faster is None or situation.is_poor or situation.is_broken:
        return None
    return f"{faster.text}: {faster.hint}"


def take_float16(situation: Situation) -> str | None:
    """Say that the original in float16 is faster, or smaller and as fast."""
    codes = {warning.code for warning in situation.target.warnings}
    worse = [name for name in ("slower", "larger") if f"result-{name}" in codes]
    if not worse or "float16" not in situation.schemes or not situation.is_int8:
        return None
    return (
        f"float16 is better here, as this is {' and '.join(worse)}: {option('scheme', 'float16')}"
    )


def quantize_more(situation: Situation) -> str | None:
    """Say that mixed precision, which nobody asked for, has left most of the time to 16 bits."""
    target, asked = situation.target, situation.recipe.get("mixed", "auto")
    figure = target.quantization
    if figure is None or not situation.is_int8 or not figure.floating or asked != "auto":
        return None
    timed = [(layer.dtype, layer.ms) for layer in target.layers if layer.ms is not None]
    wide = sum(ms for dtype, ms in timed if dtype.lower() == figure.wide)
    total = sum(ms for _, ms in timed)
    if wide < _LARGE_IN_16_BITS * total or not total:
        return None
    return (
        f"{wide / total:.0%} of the time is in layers that stay in {figure.wide}, as "
        f"{counted(figure.floating, 'tensor')} lost too much in int8: faster and less close with "
        f"{option('mixed', 'off')}"
    )


def prune_to_the_limit(situation: Situation) -> str | None:
    """Say which budget of pruning would meet a limit of latency or size that does not hold."""
    if not situation.is_int8 or situation.is_poor or situation.is_broken:
        return None
    drop, asked = situation.recipe.get("max_drop"), situation.recipe.get("prune")
    budgets = needed_budgets(situation.target, asked)
    if not budgets:
        return None
    if beyond := [gate for gate, budget in budgets.items() if budget is None]:
        return f"no pruning alone meets {' and '.join(beyond)}: a smaller input or model"
    needs = [f"{gate} with {option('prune', budget)}" for gate, budget in budgets.items()]
    if isinstance(drop, float):
        more = f"{option('max-drop', min(1.0, 2 * drop))}, if such a loss is borne"
        if asked is None:
            return f"{' and '.join(budgets)} may hold with more pruning: {more}"
        needs[-1] += f", and {more}"
    text = f"pruning may meet {' and '.join(needs)}"
    return f"{text} (a run takes one of them, which may meet both)" if len(needs) > 1 else text


def give_labels(situation: Situation) -> str | None:
    """Say what would tell the accuracy."""
    if situation.target.retention.metric is not None:
        return None
    return f"labelled samples tell the accuracy: {option('eval')}"


def give_more_samples(situation: Situation) -> str | None:
    """Say that the samples are too few; where none has a label, that is asked for instead."""
    if situation.is_broken:
        return None
    hint = _hint(situation, ("retention-too-few-samples",))
    return None if hint is None or give_labels(situation) else f"the samples leave it open: {hint}"


def set_a_gate(situation: Situation) -> str | None:
    """Say which limit would hold now, so that a later build that is worse ends with exit code 4."""
    figure = situation.target.retention
    is_asked = any(gate.is_asked for gate in situation.target.gates)
    if is_asked or situation.is_poor or situation.is_broken or figure.low is None:
        return None
    if take_float16(situation):  # nobody is to keep what is advised against
        return None
    limit = min(0.99, math.floor(100 * figure.low) / 100)
    if limit < 0.5:
        return None
    return f"a gate keeps it so (a worse build ends with 4): {option('min-retention', limit)}"


def take_off_the_cpu(situation: Situation) -> str | None:
    """Say what to do about layers on the CPU, where they take much of the time."""
    timed = [(layer.ms, layer) for layer in situation.target.layers if layer.ms]
    slow = [(ms, layer) for ms, layer in timed if layer.runs_on == "CPU"]
    hint = _hint(situation, ("cpu-fallback-layer",))
    share = sum(ms for ms, _ in slow) / (sum(ms for ms, _ in timed) or 1.0)
    if hint is None or share < _LARGE_ON_CPU:
        return None
    dearest = max(slow, key=lambda pair: pair[0])[1]
    name = dearest.name.partition(":")[2] or dearest.name
    return f"{share:.0%} of the time is on the CPU, most of it in {name} ({dearest.op}): {hint}"


def prune_what_is_good(situation: Situation) -> str | None:
    """Say how to find out whether a good result can be made faster: nothing tells the cost yet."""
    target = situation.target
    value = target.retention.value
    is_sound = target.passed and not situation.is_broken
    is_good = is_sound and value is not None and value >= GOOD_RETENTION
    is_slow = is_worse(target.ratios.latency)
    if not is_good or is_slow or target.pruning is not None or not situation.is_int8:
        return None
    return (
        "pruning may make it faster, at a cost that only a trial tells: "
        f"{option('max-drop', _SMALL_DROP)} stops at what held-out samples bear, the surer the "
        f"more they are ({option('calib-count')})"
    )


RULES: tuple[Rule, ...] = (
    mend_board,
    mend_outputs,
    feed_rightly,
    prune_less,
    keep_more_bits,
    build_faster,
    take_float16,
    quantize_more,
    prune_to_the_limit,
    give_labels,
    give_more_samples,
    set_a_gate,
    take_off_the_cpu,
    prune_what_is_good,
)


def _hint(situation: Situation, codes: tuple[str, ...]) -> str | None:
    """Return the hint of the first of these warnings that is there."""
    hints = {warning.code: warning.hint for warning in situation.target.warnings}
    return next((hints[code] for code in codes if hints.get(code)), None)


def _costliest_form(target: TargetReport) -> str | None:
    """Return the form of the model that has lost most of the metric against the one before."""
    figure = target.retention
    # of a metric where less is better more is lost
    sign = -1 if (figure.difference or 0.0) > 0 and (figure.value or 1.0) < 1 else 1
    forms = [(row.change, row.stage) for row in target.drift if row.layer is None]
    changes = [(sign * change, stage) for change, stage in forms if change is not None]
    return min(changes)[1] if changes else None
