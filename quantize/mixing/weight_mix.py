"""Mixed precision beside weights of 4 bits: which weights are worth the space of float16.

Activations are in float16 in any case, so it costs no conversions: only space, and the time to
read it. The error that each weight brings is measured on its own; those that bring most for
their size are left in float16 first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import Layer
from ..rendering.plan import Tradeoff
from ..trials.held_out_samples import HeldOut
from .activation_mix import MixedBudget, search

_SAMPLES = 6  # enough to rank weights by the error that they bring
_BYTES = {"int4": 0.5, "int8": 1.0, "float16": 2.0}
_WORST_DB = -100.0  # an output that is broken altogether: finite, so that it can be compared

Bake = Callable[[Sequence[Layer]], ModelProto]


@dataclass(frozen=True)
class FourBitMix:
    """What may be spent on float16 weights, and how long to look for them (seconds).

    With ``below_db`` it is only tried where weights of 4 bits alone stay below that on held-out
    samples.
    """

    budget: MixedBudget
    seconds: float = 300
    below_db: float | None = None

    def is_due(self, sqnr_db: float | None) -> bool:
        """Whether to try it for a w4a16 model of this SQNR (None: not measured)."""
        return self.below_db is None or (sqnr_db is not None and sqnr_db < self.below_db)


def mixed_with_float16(
    model: ModelProto,
    rounded: Sequence[Layer],
    bake: Bake,
    held_out: HeldOut,
    mix: FourBitMix,
    on_progress: Callable[[str, int, int | None], None] = lambda what, done, total: None,
) -> list[Tradeoff]:
    """Choices of weights to leave in float16 beside 4 bits, each with its size and SQNR.

    The ``model``'s weights that are not ``rounded`` are float16 in any case. ``bake`` gives
    the float model in which the weights of some layers are rounded. Ends after ``mix.seconds`` with
    what was found.
    """
    started = time.monotonic()
    sizes = {layer.node.input[1]: layer.weight.size for layer in rounded}
    graph = Graph(model)
    in_int8 = {node.input[1] for node in weighted_nodes(graph)}
    weights = {name: one.size for name, one in graph.weights.items() if one.ndim > 1}
    int8 = sum(
        size * _BYTES["int8" if name in in_int8 else "float16"] for name, size in weights.items()
    )

    def size_ratio(floating: Sequence[str]) -> float:
        narrow = sizes.keys() - floating
        return (
            sum(
                size * _BYTES["int4" if name in narrow else "float16"]
                for name, size in weights.items()
            )
            / int8
        )

    noise = _sensitivities(
        rounded,
        bake,
        held_out,
        started + mix.seconds / 2,
        lambda *at: on_progress("sensitivity", *at),
    )
    return search(
        _growing(noise, sizes, size_ratio, 1 + mix.budget.most),
        lambda floating: held_out.sqnr_db(
            bake([layer for layer in rounded if layer.node.input[1] not in floating])
        ),
        mix.budget,
        started + mix.seconds,
        lambda *at: on_progress("mixed precision", *at),
    )


def _sensitivities(
    layers: Sequence[Layer],
    bake: Bake,
    held_out: HeldOut,
    deadline: float,
    on_progress: Callable[[int, int], None],
) -> dict[str, float]:
    """Weight -> noise over signal of the worst output when it alone is rounded.

    In graph order, as early weights tend to be small and to matter. What ``deadline``
    (time.monotonic) does not leave time for is missing.
    """
    users: dict[str, list[Layer]] = {}
    for layer in layers:
        users.setdefault(layer.node.input[1], []).append(layer)
    found: dict[str, float] = {}
    for done, (name, together) in enumerate(users.items()):
        if time.monotonic() > deadline:
            break
        on_progress(done, len(users))
        db = max(held_out.sqnr_db(bake(together), most=_SAMPLES), _WORST_DB)
        found[name] = 10 ** (-db / 10)
    return found


def _growing(
    noise: Mapping[str, float],
    sizes: Mapping[str, int],
    size_ratio: Callable[[Sequence[str]], float],
    most: float,
) -> list[Tradeoff]:
    """Ever larger choices of weights in float16, from none on, most noise for its size first.

    One that would take the size over ``most`` is passed over, as smaller ones may still fit.
    """
    chosen: list[str] = []
    found = [Tradeoff((), None, math.nan, size_ratio(()))]
    for name in sorted(noise, key=lambda name: -noise[name] / sizes[name]):
        ratio = size_ratio([*chosen, name])
        if ratio <= most:
            chosen.append(name)
            found.append(Tradeoff(tuple(chosen), None, math.nan, ratio))
    return found
