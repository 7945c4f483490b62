"""What is wrong with a build, each in one phrase; empty when nothing is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from .chips.compiler_log import Layer
from .fidelity import Closeness
from .toolkit.job import BuildResult

_REGTASK = re.compile(r"REGTASK: (.*)")
_MOVES = ("Reshape", "Transpose")


def not_finite(built: BuildResult) -> str:
    """Return where the simulator computes NaN or infinity; empty where it does not."""
    for index, output in enumerate(built.outputs or ()):
        for number, values in enumerate(output):
            if not np.isfinite(values).all():
                return (
                    f"the simulator computes NaN or infinity (output {index}, sample {number}), "
                    "which the model itself does not"
                )
    return ""


def register_trouble(built: BuildResult) -> str:
    """Return what the REGTASK lines of the log say, in one phrase; empty when there are none."""
    if errors := _REGTASK.findall(built.log):
        return f"the compiler printed {len(errors)} REGTASK errors ({errors[0].strip()})"
    return ""


def waiting_trouble(table: Sequence[Layer]) -> str:
    """Return what the CPU moves between layers of the NPU; empty when nothing."""
    layers = [layer for layer in table if not layer.is_boundary]
    later = takewhile(lambda layer: layer.runs_on != "NPU", reversed(layers))
    between = layers[: len(layers) - len(list(later))]
    moves = [layer for layer in between if layer.runs_on == "CPU" and layer.op in _MOVES]
    return f"the NPU waits for {moves[0].name}, which the CPU does" if moves else ""


def fidelity_trouble(closeness: Closeness) -> str:
    """Return what is lost on the way to the simulator; empty when hardly anything is."""
    if closeness.is_faithful:
        return _loss(closeness) if closeness.is_lossy else ""
    text = f"the simulator differs from the intended model (SQNR {closeness.intended_db:.1f} dB"
    if closeness.float_db is None:
        return f"{text}, where {closeness.least_db:g} dB is usual)"
    return (
        f"{text}; to the float model it has {closeness.float_db:.1f} dB, and the intended model "
        f"{closeness.possible_db:.1f} dB)"
    )


def _loss(closeness: Closeness) -> str:
    return (
        f"the simulator has {closeness.float_db:.1f} dB to the float model, where the quantized "
        f"model has {closeness.possible_db:.1f} dB"
    )
