"""What the toolkit made of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.results.model_figures import Memory
from ..core.types import Shape
from .chips.compiler_log import Layer
from .latency.estimate import Latency

# of the toolkit's optimisation: the highest, which joins operators
FUSING_LEVEL = 3


@dataclass(frozen=True, kw_only=True)
class CompiledModel:
    """What the toolkit made of a model, for which chip, and how.

    ``quantization``, ``dtype`` and ``level`` are what was done in the end: qdq, float16, hybrid or
    one of the toolkit's quantizers, the type it made, and its optimization level; ``sparse``
    whether the zeros of 2:4 sparse weights are left out, and ``disabled`` the rules of the
    toolkit's optimisation that were off. It takes ``rknn_batch_size`` samples together; layers,
    cycles and latency are those of one, in the first of ``input_sets``, where it takes several
    shapes of its inputs.
    ``config`` are settings that were handed on to it.
    """

    target: str
    toolkit: str
    quantization: str
    layers: tuple[Layer, ...] = ()
    memory: Memory | None = None
    cycles: int = 0
    latency: Latency | None = None
    level: int = FUSING_LEVEL
    dtype: str = "w8a8"
    sparse: bool = False
    rknn_batch_size: int = 1
    input_sets: tuple[Mapping[str, Shape], ...] = ()
    disabled: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
