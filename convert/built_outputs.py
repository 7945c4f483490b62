"""The outputs of what was built, beside those of the model: the toolkit drops and renames some.

It drops those that no input reaches, such as the anchors of a detector, and says so nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto

from ..core.diagnostics import Diagnostic, option
from ..core.errors import ModelError
from ..core.graphs.graph import Graph
from ..core.types import Array, Shape
from .lowering.interface import copies_of
from .toolkit.job import BuildResult
from .toolkit.rknn_file import read_rknn


@dataclass(frozen=True)
class OutputMatch:
    """A build with an output for each of the model's, by name which it really has.

    Those ``dropped`` are not in the file: NaN stands for them. Nor are those ``constant``, for
    which their value stands, nor the ``copies``, pairs of an output and the one that it repeats.
    ``renamed`` pairs the model's name with the file's.
    """

    built: BuildResult
    present: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    @property
    def warnings(self) -> Iterator[Diagnostic]:
        """What is to be known of it."""
        for lost, why, hint in (
            (self.dropped, "which the model computes", "the result cannot stand for the model"),
            (self.constant, "which no input reaches", "keep the constant in the application"),
            (
                tuple(name for name, _ in self.copies),
                f"the same as {' and '.join(repr(source) for _, source in self.copies)}",
                "read that output for it",
            ),
        ):
            if lost:
                yield Diagnostic(
                    "toolkit-output-dropped",
                    f"the toolkit left {' and '.join(map(repr, lost))}, {why}, out of the .rknn",
                    f"{hint}; {option('outputs', list(self.present))} leaves it out from the start",
                )
        if self.renamed:
            names = ", ".join(f"{old!r} is {new!r}" for old, new in self.renamed)
            yield Diagnostic(
                "toolkit-output-renamed",
                f"the toolkit gave outputs another name: in the .rknn {names}",
                "read the outputs by their place, which is the model's",
            )


def matched_outputs(built: BuildResult, model: ModelProto) -> OutputMatch:
    """Return the build with an output for each of the model's, in their order.

    They are matched by name, what is left then by its place, where there are as many of both.
    """
    names = [value.name for value in model.graph.output]
    try:
        present = [tensor.name for tensor in read_rknn(built.rknn).outputs]
    except ModelError:  # a format that is not known says nothing, and may be right all the same
        return OutputMatch(built)
    if present == names:
        return OutputMatch(built)
    graph = Graph(model)
    copies = copies_of(graph)
    places = _places([name for name in names if name not in copies], present)
    if built.outputs is not None and not len(present) == len(built.outputs) >= len(places):
        return OutputMatch(built)  # the file says nothing that the simulator agrees with
    renamed = tuple((name, present[places[name]]) for name in names if name in places)
    repeated = tuple(pair for pair in copies.items() if pair[1] in places)
    places.update({name: places[source] for name, source in repeated})
    constants = {name: _constant(graph, name) for name in names if name not in places}
    return OutputMatch(
        replace(built, outputs=_in_order(built.outputs, places, graph, constants)),
        tuple(name for name, _ in renamed),
        tuple(name for name, value in constants.items() if value is None),
        tuple(name for name, value in constants.items() if value is not None),
        tuple(pair for pair in renamed if pair[0] != pair[1]),
        repeated,
    )


def _places(names: Sequence[str], present: Sequence[str]) -> dict[str, int]:
    """Return the model's output -> its place in the file; those that are missing are left out."""
    places = {name: present.index(name) for name in names if name in present}
    free = [index for index in range(len(present)) if index not in places.values()]
    unmatched = [name for name in names if name not in places]
    if len(free) == len(unmatched):
        places.update(zip(unmatched, free, strict=True))
    return places


def _in_order(
    outputs: list[Array] | None,
    places: Mapping[str, int],
    graph: Graph,
    constants: Mapping[str, Array | None],
) -> list[Array] | None:
    """Return what was simulated in the model's order, with what stands for those missing."""
    if outputs is None:
        return None
    count = len(outputs[0]) if outputs else 0
    return [
        outputs[places[name]]
        if name in places
        else _missing(constants[name], graph.shapes.get(name, ()), count)
        for name in graph.output_names
    ]


def _constant(graph: Graph, name: str) -> Array | None:
    """Return the value of an output that is a constant of the graph, else None."""
    node = graph.producers.get(name)
    while node is not None and node.op_type == "Identity":
        name = node.input[0]
        node = graph.producers.get(name)
    return graph.weights.get(name)


def _missing(constant: Array | None, shape: Shape, count: int) -> Array:
    """Return what stands for an output that was dropped, for so many samples."""
    values = np.full(shape, np.nan) if constant is None else constant.reshape(shape)
    single = values[0] if shape[:1] == (1,) else values
    return np.broadcast_to(single.astype(np.float32), (count, *single.shape))
