"""What is worth doing next: a few steps, each of them by one small rule, the most needed first.

A rule is a function of a report's target that gives a sentence or None. Options are mentioned as
values (see diagnostics.py), so that a recipe and the command line say them in their own words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...core.diagnostics import mentions, option
from ...core.results.layer_rows import LayerRow
from ...core.results.report import Report, TargetReport
from .cost_text import is_worse

MOST = 4
# below this share of the baseline's metric something should be done about it
GOOD_RETENTION = 0.98
_LARGE_SHARE, _LARGE_ON_CPU = 0.25, 0.05
# gates that pruning can meet, with the kind of its budget, and how much of it is worth trying
_BUDGETS, _MOST_PRUNED = {"max-latency-ms": "latency", "max-size-mb": "size"}, 60
_BROKEN = ("output-range-join", "outputs-broken", "float16-overflow", "retention-class-lost")
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
    def is_broken(self) -> bool:
        """Whether a gate that is always on does not hold."""
        return any(not gate.passed and not gate.is_asked for gate in self.target.gates)

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
    possible = [text for text in dict.fromkeys(texts) if set(mentions(text)) <= set(options)]
    name = f"{target.target}: " if len(report.targets) > 1 else ""
    return [f"{name}{text}" for text in possible[:MOST]]


def _need(target: TargetReport) -> tuple[bool, float]:
    value = target.retention.value
    return target.passed, math.inf if value is None else value


def mend_outputs(situation: Situation) -> str | None:
    """Say what to do about outputs that are dead or mostly noise, as their warning has it."""
    hint = _hint(situation, _BROKEN) if situation.is_broken else None
    return None if hint is None else f"the outputs first: {hint}"


def feed_rightly(situation: Situation) -> str | None:
    """Say how the model wants its inputs, where that was seen to be otherwise."""
    hint = _hint(situation, _PREPROCESS)
    return None if hint is None else f"the preprocessing first: {hint}"


def prune_less(situation: Situation) -> str | None:
    """Say so where pruning has cost most of what is lost."""
    if not situation.is_poor or _costliest_form(situation.target) != "pruned":
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
    if _costliest_form(situation.target) == "pruned":
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


def take_float16(situation: Situation) -> str | None:
    """Say that the original in float16 is faster, or smaller and as fast."""
    codes = {warning.code for warning in situation.target.warnings}
    worse = [name for name in ("slower", "larger") if f"result-{name}" in codes]
    if not worse or "float16" not in situation.schemes or not situation.is_int8:
        return None
    return (
        f"float16 is better here, as this is {' and '.join(worse)}: {option('scheme', 'float16')}"
    )


def prune_to_the_limit(situation: Situation) -> str | None:
    """Say which budget of pruning would meet a limit of latency or size that does not hold."""
    gates = [gate for gate in situation.target.gates if gate.name in _BUDGETS]
    failed = [gate for gate in gates if not gate.passed and gate.value > gate.limit]
    if not failed or not situation.is_int8 or situation.is_poor or situation.is_broken:
        return None
    if situation.target.pruning is not None:
        return f"{failed[0].name} asks for less: a larger budget of {option('prune')}"
    shares = [math.ceil(100 * (1 - gate.limit / gate.value)) for gate in failed]
    if max(shares) > _MOST_PRUNED:
        return f"no pruning alone meets {failed[0].name}: a smaller input or model"
    place = shares.index(max(shares))
    budget = f"{_BUDGETS[failed[place].name]}=-{shares[place]}%"
    return f"pruning may meet {failed[place].name}: {option('prune', budget)}"


def give_labels(situation: Situation) -> str | None:
    """Say what would tell the accuracy."""
    if situation.target.retention.metric is not None:
        return None
    return f"labelled samples tell the accuracy: {option('eval')}"


def give_more_samples(situation: Situation) -> str | None:
    """Say that the samples are too few."""
    hint = _hint(situation, ("retention-too-few-samples",))
    return None if hint is None else f"these samples are too few to be sure: {hint}"


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


def look_at_the_dearest(situation: Situation) -> str | None:
    """Say which layer takes most of the time, where that is much of it."""
    timed = [(layer.ms, layer) for layer in situation.target.layers if layer.ms]
    total = sum(ms for ms, _ in timed)
    candidates = [pair for pair in timed if pair[0] / total >= _least_share(pair[1])]
    if not candidates:
        return None
    ms, layer = max(candidates, key=lambda pair: pair[0])
    where = "on the CPU" if layer.runs_on == "CPU" else f"in {layer.dtype.lower()}"
    name = layer.name.partition(":")[2] or layer.name
    return f"{ms / total:.0%} of the time goes to {name} ({layer.op}, {where})"


def prune_what_is_good(situation: Situation) -> str | None:
    """Say that there is room to make a good result faster."""
    target = situation.target
    value = target.retention.value
    is_good = target.passed and value is not None and value >= GOOD_RETENTION
    is_slow = is_worse(target.ratios.latency)
    if not is_good or is_slow or target.pruning is not None or not situation.is_int8:
        return None
    latency = target.models[-1].latency
    kind = "latency" if latency and latency[0].ms is not None else "cycles"
    return f"there is room to make it faster: {option('prune', f'{kind}=-25%')}"


RULES: tuple[Rule, ...] = (
    mend_outputs,
    feed_rightly,
    prune_less,
    keep_more_bits,
    take_float16,
    prune_to_the_limit,
    give_labels,
    give_more_samples,
    set_a_gate,
    look_at_the_dearest,
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


def _least_share(layer: LayerRow) -> float:
    return _LARGE_ON_CPU if layer.runs_on == "CPU" else _LARGE_SHARE
