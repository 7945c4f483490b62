"""The plan: for every tensor its type, range and scale, and where each number came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import tomli_w

from ...core.errors import ModelError
from ...core.files import write_text
from ..numeric.bits import bits_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1
_REQUIRED = ("scheme", "samples", "activations", "weights", "float_operators")
# what decided which method was taken, where it was not a metric
SQNR, USER = "sqnr", "user"


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


@dataclass(frozen=True)
class Weight:
    """A weight: int8 or int4, symmetric, one scale for each index along ``axis``.

    It is float16 where mixed precision leaves it as it was.
    """

    dtype: str
    axis: int
    channels: int
    source: str


@dataclass(frozen=True)
class Tradeoff:
    """One choice of mixed precision: the tensors in 16 bits, and what they cost and bring.

    ``cycles_ratio`` is estimated, over the int8 model's (1.08: 8 % more). Where weights are chosen
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

    ``scheme`` names the bits of weights and activations: w8a8, w8a16, w4a16.
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
    """Read a plan. Raises ModelError when it is missing or not a plan of this schema."""
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
        return _plan(document)
    except KeyError as error:
        raise ModelError(f"{path}: not a plan: it has no {error}", "quantize again") from error
    except (TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a plan: {error}", "quantize again") from error


def _plan(document: Mapping[str, Any]) -> Plan:
    """Return the plan; keys that an older version did not write have their defaults."""
    values = {name: document[name] for name in _REQUIRED}
    values |= {entry.name: document[entry.name] for entry in fields(Plan) if entry.name in document}
    for name, kind in (("activations", Activation), ("weights", Weight)):
        values[name] = {tensor: kind(**entry) for tensor, entry in values[name].items()}
    values["tradeoffs"] = tuple(
        Tradeoff(
            floating=tuple(entry["floating"]),
            cycles_ratio=entry.get("cycles_ratio"),
            sqnr_db=entry["sqnr_db"],
            size_ratio=entry.get("size_ratio"),
        )
        for entry in document.get("tradeoffs", ())
    )
    factors = document.get("equalization", {})
    values["equalization"] = {name: tuple(channels) for name, channels in factors.items()}
    return Plan(**values)
