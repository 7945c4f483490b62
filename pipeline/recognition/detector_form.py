"""Where a detector's layers end and its decoding begins: the maps of each scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from .model_view import ModelView

_MOST_SCALES = 5


@dataclass(frozen=True)
class HeadMap:
    """What the last convolution of a branch gives: its name, channels, and the cells it is of.

    ``height`` and ``width`` are None where they are not known.
    """

    name: str
    channels: int
    height: int | None
    width: int | None


# the maps of one scale, in the order of the graph
Scale = tuple[HeadMap, ...]


def head_scales(view: ModelView, outputs: Sequence[str]) -> tuple[Scale, ...]:
    """Return the maps that the outputs are decoded from by scale, the finest first.

    () where these are none of a detector: between two and five scales, each with as many maps as
    the others. Scales are told apart by the size of their maps; where that is not known, the first
    maps of each number of channels are one scale, the second the next.
    """
    maps = [head for node in _last_convolutions(view, outputs) if (head := _map_of(view, node))]
    if all(head.height for head in maps):
        scales = _grouped(maps, lambda head: (head.height, head.width))
        scales.sort(key=lambda scale: -(scale[0].height or 0))
    else:
        by_channels = _grouped(maps, lambda head: head.channels)
        if len({len(heads) for heads in by_channels}) > 1:
            return ()
        scales = list(zip(*by_channels, strict=True))
    is_even = len({len(scale) for scale in scales}) == 1
    return tuple(scales) if is_even and 2 <= len(scales) <= _MOST_SCALES else ()


def _grouped(maps: Sequence[HeadMap], key: Callable[[HeadMap], object]) -> list[Scale]:
    groups: dict[object, list[HeadMap]] = {}
    for head in maps:
        groups.setdefault(key(head), []).append(head)
    return [tuple(group) for group in groups.values()]


def channels_of(scales: Sequence[Scale]) -> tuple[int, ...] | None:
    """Return the channels of the maps of a scale, sorted; None where scales differ in them."""
    counts = {tuple(sorted(head.channels for head in scale)) for scale in scales}
    return counts.pop() if len(counts) == 1 else None


def names_of(scales: Sequence[Scale]) -> tuple[str, ...]:
    """Return the tensors to end the model at."""
    return tuple(head.name for scale in scales for head in scale)


def cells_of(scales: Sequence[Scale]) -> int | None:
    """Return how many cells all scales have together; None where that is free."""
    counts = [(scale[0].height, scale[0].width) for scale in scales]
    sizes = [height * width for height, width in counts if height and width]
    return sum(sizes) if len(sizes) == len(counts) else None


def _last_convolutions(view: ModelView, outputs: Sequence[str]) -> list[NodeProto]:
    """Return the convolutions that outputs are computed from with none between, as in the graph."""
    names, seen, last = list(outputs), set[str](), set[str]()
    while names:
        name = names.pop()
        node = view.producers.get(name)
        if node is None or name in seen or node.op_type == "Shape":  # lengths are no values
            continue
        seen.add(name)
        if node.op_type == "Conv" and not is_mean_over_bins(view, node):
            last.add(node.output[0])
        else:
            names += node.input
    return [node for node in view.model.graph.node if node.output and node.output[0] in last]


def is_mean_over_bins(view: ModelView, node: NodeProto) -> bool:
    """Return whether a convolution is no layer, but weighs the bins of a distribution.

    Its weight is 0, 1, 2 ... for the bins: Li et al., Generalized focal loss, NeurIPS 2020.
    """
    has_weight = node.op_type == "Conv" and len(node.input) > 1
    weight = view.constant(node.input[1]) if has_weight else None
    if weight is None or weight.ndim != 4:
        return False
    bins = weight.shape[1]
    # pruning and quantizing move the numbers a little
    is_sum = bins > 1 and weight.shape == (1, bins, 1, 1)
    return is_sum and np.allclose(weight.ravel(), np.arange(bins), atol=0.5)


def _map_of(view: ModelView, node: NodeProto) -> HeadMap | None:
    weight = view.fixed_shapes.get(node.input[1], ()) if len(node.input) > 1 else ()
    if len(weight) != 4 or weight[0] is None:
        return None
    shape = view.fixed_shapes.get(node.output[0], ())
    height, width = shape[2:] if len(shape) == 4 else (None, None)
    return HeadMap(node.output[0], weight[0], height, width)


def is_raw(view: ModelView, scales: Sequence[Scale]) -> bool:
    """Return whether the model ends at the maps themselves."""
    ends = {view.source(output.name) for output in view.outputs}
    return bool(scales) and set(names_of(scales)) == ends


def rows_outputs(view: ModelView, columns: int, rows: int | None) -> list[str]:
    """Return the outputs (1, rows, columns), where free lengths and ``rows`` of None fit any."""
    return [
        output.name
        for output in view.outputs
        if len(output.shape) == 3
        and output.shape[2] in (columns, None)
        and (output.shape[1] is None or rows in (output.shape[1], None))
    ]


def selects_boxes(view: ModelView) -> bool:
    """Return whether a model chooses among its boxes itself."""
    return any(view.operators.get(name) for name in ("TopK", "NonMaxSuppression"))
