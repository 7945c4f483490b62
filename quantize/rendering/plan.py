"""The plan: for every tensor its type, range and scale, and where each number came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isfinite, isnan
from pathlib import Path
from statistics import fmean
from typing import Any

import tomli_w

from ...core.errors import ModelError
from ...core.files import write_text
from ...core.validation import Malformed, require, validated
from ..methods.method_selection import SQNR, TaskMetric, Trial, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1
_SCHEMES = ("w8a8", "w8a16", "w4a16")
_WEIGHT_TYPES = ("int8", "int4", "float16")
# type of an activation -> bits of the integers that its zero point is one of
_BITS = {"int8": 8, "float16": 8, "int16": 16}


@dataclass(frozen=True)
class Activation:
    """An activation tensor: int8 with one scale and zero point, for values in [low, high].

    In w8a16 it is int16. In w8a8 with the ``dtype`` float16 or int16 it stays in float here; the
    scale is what int8 would have had.
    """

    dtype: str
    low: float
    high: float
    scale: float
    zero_point: int
    source: str


@dataclass(frozen=True)
class Weight:
    """A weight: int8 or int4, symmetric, one scale for each index along ``axis``.

    In w4a16 it may be float16: mixed precision leaves it as it was.
    """

    dtype: str
    axis: int
    channels: int
    source: str


@dataclass(frozen=True)
class Tradeoff:
    """One choice of mixed precision: the tensors in 16 bits, and what they cost and bring.

    ``cycles_ratio`` is estimated, over the int8 model's (1.08: 8 % more). Beside weights of 4 bits
    it is ``size_ratio`` instead, that of all weights over int8's. ``sqnr_db`` is that of the
    outputs on held-out samples.
    """

    floating: tuple[str, ...]
    cycles_ratio: float | None
    sqnr_db: float
    size_ratio: float | None = None


@dataclass(frozen=True)
class Plan:
    """What quantize decided, by tensor name. ``float_operators`` counts what stays in float.

    ``method`` was chosen among ``candidates``: method -> SQNR in dB against the float model on
    ``held_out`` of the ``samples``, which no method had seen then; the plan is made of all. Where
    these had labels, ``scores`` has the ``metric`` of each method too; ``chosen_by`` names what
    decided: sqnr, the metric, or user where no other method was to be tried.
    ``equalization`` maps a tensor to what its channels were divided by before anything was rounded,
    see equalize.
    With ``symmetric`` all zero points are 0, and biases stay in float.
    ``tradeoffs`` are the choices of mixed precision that were tried, cheapest first.
    """

    scheme: str
    samples: int
    activations: dict[str, Activation]
    weights: dict[str, Weight]
    float_operators: dict[str, int]
    method: str = "min-max"
    held_out: int = 0
    candidates: dict[str, float] = field(default_factory=dict)
    tradeoffs: tuple[Tradeoff, ...] = ()
    metric: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    chosen_by: str = SQNR
    equalization: dict[str, tuple[float, ...]] = field(default_factory=dict)
    symmetric: bool = False

    @property
    def floating(self) -> tuple[str, ...]:
        """The activations, or in w4a16 the weights, that mixed precision leaves in 16 bits."""
        if self.scheme == "w4a16":
            return tuple(name for name, one in self.weights.items() if one.dtype == "float16")
        if self.scheme != "w8a8":
            return ()
        return tuple(name for name, one in self.activations.items() if one.dtype != "int8")

    @property
    def wide(self) -> str:
        """The type of these tensors: float16, unless they are int16."""
        kinds = {one.dtype for one in self.activations.values()}
        return "int16" if "int16" in kinds else "float16"


def compared(
    plan: Plan,
    held_out: int,
    trials: Mapping[str, Trial],
    verdict: Verdict,
    metric: TaskMetric | None,
) -> Plan:
    """The plan of the candidate that was kept, with how it came to be."""
    return replace(
        plan,
        held_out=held_out,
        candidates={name: trial.sqnr_db for name, trial in trials.items()},
        metric=metric.name if metric else "",
        scores={name: fmean(trial.scores) for name, trial in trials.items() if trial.scores},
        chosen_by=verdict.chosen_by,
    )


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan as TOML, whole or not at all."""
    tradeoffs = [
        {key: value for key, value in asdict(one).items() if value is not None}  # TOML has no null
        for one in plan.tradeoffs
    ]
    document = {"schema": SCHEMA, **asdict(plan), "tradeoffs": tradeoffs}
    write_text(path, tomli_w.dumps(document))


def read_plan(path: Path) -> Plan:
    """Read a plan and check every value in it.

    Raises ModelError, naming the value, when it is missing, damaged, or of another schema.
    """
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: the plan cannot be read: {error}", "quantize again") from error
    if document.get("schema") != SCHEMA:
        raise ModelError(
            f"{path}: the plan has schema {document.get('schema')!r}, this version reads {SCHEMA}",
            "quantize again with this version",
        )
    try:
        plan = validated(Plan, _without_gaps(document), closed=True, finite=False)
        _require_possible(plan)
    except Malformed as error:
        raise ModelError(f"{path}: not a plan: {error}", "quantize again") from error
    return plan


def _without_gaps(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a plan without its schema, and with null where TOML has nothing."""
    plain = {key: value for key, value in document.items() if key != "schema"}
    if isinstance(tradeoffs := plain.get("tradeoffs"), list):
        plain["tradeoffs"] = [
            {"cycles_ratio": None, **entry} if isinstance(entry, dict) else entry
            for entry in tradeoffs
        ]
    return plain


def _require_possible(plan: Plan) -> None:
    """Raise Malformed for a number or a name that no plan has."""
    require(plan.scheme in _SCHEMES, "scheme", plan.scheme, f"one of {', '.join(_SCHEMES)}")
    require(plan.samples >= 0, "samples", plan.samples, "a number of samples")
    for name, entry in plan.activations.items():
        place = f"activations.{name}"
        low, high, bits = entry.low, entry.high, _BITS.get(entry.dtype, 0)
        require(bits > 0, f"{place}.dtype", entry.dtype, f"one of {', '.join(_BITS)}")
        require(isfinite(low), f"{place}.low", low, "a finite number")
        require(isfinite(high), f"{place}.high", high, "a finite number")
        require(low <= high, f"{place}.low", low, f"at most its high, {high:g}")
        positive = isfinite(entry.scale) and entry.scale > 0
        require(positive, f"{place}.scale", entry.scale, "a number above 0")
        limit = 2 ** (bits - 1)
        fits = -limit <= entry.zero_point < limit
        require(fits, f"{place}.zero_point", entry.zero_point, f"one of {entry.dtype}")
    for name, weight in plan.weights.items():
        place, known = f"weights.{name}", weight.dtype in _WEIGHT_TYPES
        require(known, f"{place}.dtype", weight.dtype, f"one of {', '.join(_WEIGHT_TYPES)}")
        require(weight.axis >= 0, f"{place}.axis", weight.axis, "an axis of a weight")
        require(weight.channels > 0, f"{place}.channels", weight.channels, "a number above 0")
    for name, decibel in plan.candidates.items():
        require(not isnan(decibel), f"candidates.{name}", decibel, "a number")
    for name, divisors in plan.equalization.items():
        positive = all(isfinite(divisor) and divisor > 0 for divisor in divisors)
        require(positive, f"equalization.{name}", divisors, "numbers above 0")
