"""The quantization methods, one file each: how ranges are chosen and how weights are rounded.

A new method is one new file here. It defines ``METHOD``, and ``ORDER``: its place among the names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ...core.diagnostics import option
from ...core.errors import OptionError
from ..choices.names import AUTO, method_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...core.types import Float64, Range
    from ..numeric.histogram import Histogram


@dataclass(frozen=True)
class RangeMethod:
    """How the range of an activation follows from its histogram; a plan holds the ``name``."""

    name: str
    choose: Callable[[Histogram], Range]


class Solver(Protocol):
    """A function that rounds the weights of a layer."""

    def __call__(
        self,
        matrix: Float64,
        covariance: Float64,
        scales: Float64,
        limit: int,
        free: NDArray[np.bool_] | None = None,
    ) -> Float64:
        """Return integers of at most ``limit`` like ``matrix`` (groups, outputs, inputs).

        The inputs have a ``covariance`` (groups, inputs, inputs), ``scales`` is (groups, outputs).
        Where ``free``, a mask like ``matrix``, is False they are 0.
        """


@dataclass(frozen=True)
class Rounding:
    """How weights become integers: by ``solve``, or each to the nearest; a plan holds the name."""

    name: str
    solve: Solver | None


NEAREST = Rounding("nearest", None)


@dataclass(frozen=True)
class QuantizationMethod:
    """A way to choose ranges and to round weights.

    With ``correct_bias`` the means that rounding loses are made up for in closed form, with
    ``sequential`` once more, layer by layer in the quantized network. With ``equalized`` the
    channels between layers are made alike before anything else. With ``refits`` each weight is
    refitted, before it is rounded, to inputs that come from rounded layers.

    ``is_compared`` says whether auto tries it, unless a scheme says it. If it ``refines`` another
    method, auto tries it when that one is the best of those tried.
    """

    ranges: RangeMethod
    rounding: Rounding = NEAREST
    correct_bias: bool = True
    sequential: bool = False
    equalized: bool = False
    refits: bool = False
    is_compared: bool = False
    refines: str = ""

    @property
    def needs_moments(self) -> bool:
        """Return whether it has to know the mean and covariance of what layers read."""
        return self.correct_bias or self.rounding.solve is not None


def find_method(name: str) -> QuantizationMethod:
    """Return the method of this name. Raises OptionError when there is none."""
    if name == AUTO or name not in method_names():
        raise OptionError(
            f"{option('method', name)} is not known",
            f"choose one of: {', '.join(method_names())}",
        )
    method: QuantizationMethod = import_module(f".{name.replace('-', '_')}", __name__).METHOD
    return method


def refinements(name: str) -> tuple[str, ...]:
    """Return the names of the methods that refine this one."""
    return tuple(other for other in method_names()[1:] if find_method(other).refines == name)
