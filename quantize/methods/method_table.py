"""The methods by name: a way to choose ranges, and a way to round weights."""

from __future__ import annotations

from dataclasses import dataclass

from ..rendering.rounding import Rounding


@dataclass(frozen=True)
class Method:
    """``ranges`` is one of range_methods; with ``correct_bias`` the lost means are made up for.

    With ``sequential`` that is done once more, layer by layer in the quantized network. With
    ``equalized`` the channels between layers are made alike before anything else.
    """

    ranges: str
    rounding: Rounding = "nearest"
    correct_bias: bool = True
    sequential: bool = False
    equalized: bool = False


METHODS = {
    "min-max": Method("min-max", correct_bias=False),
    "percentile": Method("percentile"),
    "mse": Method("mse"),
    "kl": Method("kl"),
    "gptq": Method("mse", "gptq"),
    "gptq-min-max": Method("min-max", "gptq"),
    "gptq-sequential": Method("mse", "gptq", sequential=True),
    "gptq-min-max-sequential": Method("min-max", "gptq", sequential=True),
    "gptq-equalized": Method("mse", "gptq", equalized=True),
    "gptq-min-max-equalized": Method("min-max", "gptq", equalized=True),
}
AUTO = "auto"
# What auto compares, the one to beat first. Percentiles and kl clip more than mse does, and came
# out behind it on every model that was tried; --method names them all the same.
COMPARED = ("gptq", "gptq-min-max", "mse", "min-max")
# What is tried after that on top of the best of them. Sequential correction is not: it came out
# behind on two models of three, and takes as long as all the rest.
REFINED = {"gptq": ("gptq-equalized",), "gptq-min-max": ("gptq-min-max-equalized",)}
