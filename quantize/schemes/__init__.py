"""The number formats, one file each: what their layers compute in, and all that depends on it.

A new number format is one new file here, of its name, that defines ``SCHEME``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

from ...core.diagnostics import option
from ...core.errors import OptionError
from ..choices.names import AUTO, bits_of, scheme_names
from ..methods import find_method

if TYPE_CHECKING:
    from onnx import ModelProto

    from ...core.graphs.graph import Graph
    from ...core.types import SampleSet
    from ..graph_parts.weighted_layers import WeightedLayer
    from ..mixing.mixed_budget import MixedBudget, MixedPrecision
    from ..rendering.plan import Plan
    from ..statistics.tensor_statistics import Calibration
    from ..trials.held_out_samples import HeldOut

_MARK = "rockpress.scheme"
# where a model without mixed precision has less, one layer is likely to spoil all that follows
_POOR_DB = 15.0


class Candidates(Protocol):
    """The quantized models that methods make of one float model, which was calibrated."""

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        """Return the plan and the model that a method makes."""

    def changes(self, method: str) -> bool:
        """Return whether the method makes another model than the one that it refines."""

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
        """Return the plan with some tensors in 16 bits: the best of what was tried."""

    def final(self, plan: Plan, more: SampleSet) -> tuple[Plan, ModelProto]:
        """Return the model quantized as ``plan`` says, the statistics of ``more`` samples in it.

        These may be given once.
        """

    def layers(self, plan: Plan) -> Sequence[WeightedLayer]:
        """Return the layers whose weights are rounded."""


@dataclass(frozen=True)
class Mixing:
    """Mixed precision in a scheme: the ``kinds`` of budget that it takes.

    ``rescue`` is spent without being asked for where the model stays below ``below_db`` on held-out
    samples; ``timed_rescue`` instead where builds can be timed, None where no choice is judged by
    time. ``dtype`` is that of 16 bits, None for what the chip has beside int8. ``reason`` tells
    why other kinds make no sense, ``hint`` what to give instead.
    """

    kinds: tuple[str, ...]
    rescue: MixedBudget
    reason: str
    hint: str
    dtype: str | None = None
    below_db: float = _POOR_DB
    timed_rescue: MixedBudget | None = None


@dataclass(frozen=True)
class Handover:
    """How a quantized model gets to the toolkit.

    ``quantizer`` is auto where it is taken as it is, hybrid where the toolkit quantizes with the
    ranges and types of the plan, normal where it chooses them. It gets the file that quantize wrote
    or the float model, and the ranges of the plan or not. ``dtype`` is None where it follows.
    """

    quantizer: Literal["auto", "normal", "hybrid"]
    dtype: str | None = None
    takes_quantized: bool = True
    takes_ranges: bool = True


class Scheme(ABC):
    """A number format; what is not overridden is that of one that quantizes nothing.

    That has neither ``candidates`` nor a ``handover``, and raises OptionError for both.

    ``layer_dtype`` is what layers multiply in. ``refusal`` says why it takes no other methods.
    ``extras`` are the options that only some schemes have. With ``is_qdq`` the quantized model is
    in QDQ form, else it is a float model with rounded weights, which convert needs the plan for.
    """

    layer_dtype: Literal["int8", "float16"] = "float16"
    quantizes = False
    refusal = "is not for this number format"
    mixing: Mixing | None = None
    extras: tuple[str, ...] = ()
    is_qdq = False

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the names of the methods that it takes."""
        return ()

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the names of those that auto compares in any case."""
        return tuple(name for name in self.methods if find_method(name).is_compared)

    @property
    def name(self) -> str:
        """Return the name, which is that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def weight_bits(self) -> int:
        """Return how many bits a weight has."""
        bits = bits_of(self.name)
        return bits[0] if bits else 16

    def methods_for(self, method: str, *, is_trial: bool) -> tuple[str, ...]:
        """Return the names of the methods to compare: one, or with auto those that it compares.

        Without ``is_trial`` there is nothing to compare on, so auto is the first of them. Raises
        OptionError for a method that is not known, or not for this scheme.
        """
        if method == AUTO:
            return self.compared if is_trial else self.compared[:1]
        find_method(method)
        if method not in self.methods:
            raise OptionError(
                f"{option('method', method)} {self.refusal}",
                f"choose one of: {', '.join((AUTO, *self.methods))}",
            )
        return (method,)

    def require_mixed(self, budget: MixedBudget, text: str) -> Mixing:
        """Return its mixed precision. Raises OptionError when it takes no such budget."""
        if self.mixing is None:
            mixing = _names_where(lambda scheme: scheme.mixing is not None)
            raise OptionError(
                f"{option('mixed')} is for {' and '.join(mixing)}, not for {self.name}",
                "it leaves some layers of a model in 16 bits: leave it out",
            )
        if budget.kind not in self.mixing.kinds:
            others = _names_where(lambda s: s.mixing is not None and budget.kind in s.mixing.kinds)
            raise OptionError(
                f"{option('mixed', text)} is for {' and '.join(others)}: {self.mixing.reason}",
                self.mixing.hint,
            )
        return self.mixing

    def require_extra(self, name: str) -> None:
        """Raise OptionError when the scheme has no such option."""
        if name not in self.extras:
            others = _names_where(lambda scheme: name in scheme.extras)
            raise OptionError(
                f"{option(name)} is for {' and '.join(others)}",
                f"leave it out for {option('scheme', self.name)}",
            )

    def always_planned(self, graph: Graph) -> tuple[str, ...]:
        """Return the weights that any plan of a model in this number format names."""
        return ()

    def plan_of(self, graph: Graph) -> Plan | None:
        """Return what a float model whose weights were rounded for it tells of its plan."""
        return None

    @abstractmethod
    def candidates(self, task: Calibration) -> Candidates:
        """Calibrate a model for the methods of the task. Raises ModelError, SamplesError."""

    @abstractmethod
    def handover(self, plan: Plan) -> Handover:
        """Return how a model with this plan gets to the toolkit."""

    @abstractmethod
    def described(self, weights: str, activations: str) -> str:
        """Return what is quantized, for a person; both texts count, such as "5 weights"."""


def find_scheme(name: str) -> Scheme:
    """Return the number format of this name. Raises OptionError when there is none."""
    if name not in scheme_names():
        raise OptionError(
            f"{option('scheme', name)} is not known", f"choose one of: {', '.join(scheme_names())}"
        )
    scheme: Scheme = import_module(f".{name}", __name__).SCHEME
    return scheme


def _names_where(holds: Callable[[Scheme], bool]) -> list[str]:
    """Return the names of the schemes for which this holds."""
    return [name for name in scheme_names() if holds(find_scheme(name))]


def mark(model: ModelProto, scheme: str) -> None:
    """Note in a float model, which nothing else tells from others, that its weights are rounded."""
    model.metadata_props.add(key=_MARK, value=scheme)


def marked_scheme(model: ModelProto) -> Scheme | None:
    """Return the scheme that the weights of a float model were rounded for."""
    marks = {entry.key: entry.value for entry in model.metadata_props}
    return find_scheme(marks[_MARK]) if marks.get(_MARK) in scheme_names() else None
