"""What is told of joined outputs whose parts were kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..core.diagnostics import Diagnostic, option
from ..core.graphs.graph import Graph
from ..core.graphs.joins import output_joins
from .graph_parts.joined_parts import layers_before
from .rendering.plan import Plan

CODE = "output-parts-apart"
# tensors to end a model at -> the milliseconds that this saves
Saved = Callable[[Sequence[str]], float | None]


def join_notices(graph: Graph, plan: Plan, ms_of: Saved | None = None) -> Iterator[Diagnostic]:
    """Tell of each join that the plan leaves in 16 bits, and where to end the model instead.

    ``ms_of`` gives the milliseconds that this saves, None where they are not known.
    """
    for output, node in output_joins(graph).items():
        activation = plan.activations.get(node.output[0])
        if activation is None or not activation.is_joined:
            continue
        names = layers_before(graph, node)
        saved = ms_of(names) if ms_of else None
        gain = "is faster" if saved is None else f"takes an estimated {saved:.2f} ms less"
        yield Diagnostic(
            CODE,
            f"the output {output!r} joins parts whose ranges differ too much for one scale of "
            f"int8: what is computed of the last {len(names)} layers is left in "
            f"{activation.dtype}, so that none is lost",
            f"ended before that, and decoded on the host, the model {gain}: "
            f"{option('outputs', list(names))}",
            subject=output,
        )
