"""The plan: for every tensor its type, range and scale, and where each number came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite, isnan
from pathlib import Path

import tomli_w

from ...core.errors import ModelError
from ...core.files import write_text
from ...core.text_files import UnreadableFile, read_toml
from ...core.validation import Malformed, require, validated
from ..choices.names import bits_of, scheme_names

SCHEMA = 1
# what decided which method was taken, where it was not a metric
SQNR, USER = "sqnr", "user"
# what the source of a tensor starts with that is left in 16 bits for the sake of a joined output
JOINED = "joined in "
# types that mixed precision leaves a tensor in
_WIDE = ("int16", "float16")


@dataclass(frozen=True)
class Activation:
    """An activation tensor: integers with one scale and zero point, for values in [low, high].

    ``dtype`` is that of the plan (int8, or int16 in w8a16), or of 16 bits, where mixed precision
    leaves it; then it stays in float here, and the scale is what int8 would have had.
    """

    dtype: str
    low: float
    high: float
    scale: float
    zero_point: int
    source: str

    @property
    def is_joined(self) -> bool:
        """Return whether it is left in 16 bits so that the parts of an output keep theirs."""
        return self.source.startswith(JOINED)


@dataclass(frozen=True)
class Weight:
    """A weight: int8 or int4, symmetric, one scale for each index along ``axis``.

    It is float16 where mixed precision leaves it as it was, or where nothing rounds it.
    """

    dtype: str
    axis: int
    channels: int
    source: str


@dataclass(frozen=True)
class Constant:
    """A constant that an int8 operator computes with: int8, one scale and zero point."""

    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Tradeoff:
    """One choice of mixed precision: the tensors in 16 bits, and what they cost and bring.

    ``cycles_ratio`` is estimated, over the int8 model's (1.08: 8 % more); where builds were timed,
    ``latency_ratio`` and the estimated ``ms`` are instead. Where weights are chosen it is
    ``size_ratio``, that of all weights over int8's. ``sqnr_db`` is that of the outputs on held-out
    samples.
    """

    floating: tuple[str, ...]
    cycles_ratio: float | None = field(default=None, kw_only=True)
    latency_ratio: float | None = field(default=None, kw_only=True)
    ms: float | None = field(default=None, kw_only=True)
    sqnr_db: float
    size_ratio: float | None = None


@dataclass(frozen=True)
class Plan:
    """What quantize decided, by tensor name. ``float_operators`` counts what stays in float.

    ``scheme`` names the bits of weights and activations: w8a8, w8a16, w4a16.
    ``method`` was chosen among ``candidates``: method -> SQNR in dB against the float model on
    ``held_out`` of the ``samples``, which no method had seen then; the plan is made of all. Where
    these had labels, ``scores`` has the ``metric`` of each method too; ``chosen_by`` names what
    decided: sqnr, the metric, or user where no other method was to be tried.
    ``equalization`` maps a tensor to what its channels were divided by before anything was rounded,
    see equalize.
    With ``symmetric`` all zero points are 0, and biases stay in float.
    ``constants`` are those that elementwise operators read, by their names.
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
    constants: dict[str, Constant] = field(default_factory=dict)

    @property
    def high_precision(self) -> tuple[str, ...]:
        """Return the activations, or weights, that mixed precision leaves in 16 bits."""
        integers = {*self.integer_activations, *self.integer_weights}
        return tuple(name for name in (*self.activations, *self.weights) if name not in integers)

    @property
    def high_precision_dtype(self) -> str:
        """Return the type of these tensors: float16, unless they are int16."""
        dtypes = {activation.dtype for activation in self.activations.values()}
        return "int16" if "int16" in dtypes else "float16"

    @property
    def integer_activations(self) -> tuple[str, ...]:
        """Return the activations that are quantized, to the bits that the scheme names."""
        _, bits = bits_of(self.scheme) or (8, 8)
        return tuple(
            name for name, tensor in self.activations.items() if tensor.dtype == f"int{bits}"
        )

    @property
    def integer_weights(self) -> tuple[str, ...]:
        """Return the weights that are quantized."""
        return tuple(name for name, tensor in self.weights.items() if tensor.dtype != "float16")


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan as TOML, whole or not at all."""
    tradeoffs = [
        # TOML has no null
        {key: value for key, value in asdict(tradeoff).items() if value is not None}
        for tradeoff in plan.tradeoffs
    ]
    document = {"schema": SCHEMA, **asdict(plan), "tradeoffs": tradeoffs}
    write_text(path, tomli_w.dumps(document))


def read_plan(path: Path) -> Plan:
    """Read a plan and check every value in it.

    Raises ModelError, naming the value, when it is missing, damaged, or of another schema.
    """
    try:
        document = read_toml(path)
    except UnreadableFile as error:
        raise ModelError(f"{path}: the plan cannot be read: {error}", "quantize again") from error
    if document.get("schema") != SCHEMA:
        raise ModelError(
            f"{path}: the plan has schema {document.get('schema')!r}, this version reads {SCHEMA}",
            "quantize again with this version",
        )
    try:
        values = {key: value for key, value in document.items() if key != "schema"}
        plan = validated(Plan, values, closed=True, finite=False)
        _require_possible(plan)
    except Malformed as error:
        raise ModelError(f"{path}: not a plan: {error}", "quantize again") from error
    return plan


def _require_possible(plan: Plan) -> None:
    """Raise Malformed for a number or a name that no plan has."""
    bits = bits_of(plan.scheme)
    is_format = bits is not None or plan.scheme in scheme_names()
    require(is_format, "scheme", plan.scheme, "a number format such as w8a8")
    tensors = {**plan.activations, **plan.weights}
    require(bits is None or bool(tensors), "activations", tensors, "a table of tensors")
    require(plan.samples >= 0, "samples", plan.samples, "a number of samples")
    dtypes = dict.fromkeys((f"int{bits[1] if bits else 8}", *_WIDE))
    for name, tensor in plan.activations.items():
        key = f"activations.{name}"
        require(tensor.dtype in dtypes, f"{key}.dtype", tensor.dtype, f"one of {', '.join(dtypes)}")
        _require_range(key, tensor)
    dtypes = dict.fromkeys((f"int{bits[0] if bits else 8}", *_WIDE))
    for name, weight in plan.weights.items():
        key = f"weights.{name}"
        require(weight.dtype in dtypes, f"{key}.dtype", weight.dtype, f"one of {', '.join(dtypes)}")
        require(weight.axis >= 0, f"{key}.axis", weight.axis, "an axis of a weight")
        require(weight.channels > 0, f"{key}.channels", weight.channels, "a number above 0")
    for name, constant in plan.constants.items():
        require(constant.dtype == "int8", f"constants.{name}.dtype", constant.dtype, "int8")
        _require_scale(f"constants.{name}", constant)
    for name, decibel in plan.candidates.items():
        require(not isnan(decibel), f"candidates.{name}", decibel, "a number")
    for name, factors in plan.equalization.items():
        positive = all(isfinite(factor) and factor > 0 for factor in factors)
        require(positive, f"equalization.{name}", factors, "numbers above 0")


def _require_range(key: str, tensor: Activation) -> None:
    low, high = tensor.low, tensor.high
    require(isfinite(low), f"{key}.low", low, "a finite number")
    require(isfinite(high), f"{key}.high", high, "a finite number")
    require(low <= high, f"{key}.low", low, f"at most its high, {high:g}")
    _require_scale(key, tensor)


def _require_scale(key: str, tensor: Activation | Constant) -> None:
    scale, zero_point = tensor.scale, tensor.zero_point
    require(isfinite(scale) and scale > 0, f"{key}.scale", scale, "a number above 0")
    # beside float16 they are what int8 would have had
    limit = 1 << (15 if tensor.dtype == "int16" else 7)
    require(-limit <= zero_point < limit, f"{key}.zero_point", zero_point, f"one of {tensor.dtype}")
