"""The compiler's cycles of one layer in closed form, so that a search need not call the compiler.

The NPU column is exact for the dense and depthwise convolutions it was fitted on (60 shapes on each
chip, rknn-toolkit2 2.5.0). The memory column is within 0.2 % for half of the layers inside a
network; tiny ones are up to a tenth off, and a layer whose output leaves the network pads its
channels further, and shows up to a third more. Layers other than
convolutions and matrix products show no cycles in the table either.
"""

from __future__ import annotations

from math import ceil

from ...core.graphs.layers import LayerShape, next_pooling
from .targets import MacArray, Target

_PIXELS = 16  # output pixels are worked on in blocks of this many
_BIAS_BYTES = 8  # with the scale of the output channel
_PACKED = 4


def layer_cycles(layer: LayerShape, target: Target, dtype: str = "int8") -> float:
    """Return the cycles of one core for one inference: the slower of arithmetic and memory traffic.

    Of a pooling those of all its steps. ``dtype`` is int8, int16 or float16. Raises ValueError when
    the target lacks it.

    >>> from ...core.graphs.layers import LayerShape
    >>> from .targets import find_target
    >>> conv = LayerShape("c", "conv", 64, 48, 3, 3, 1, 28, 28, 28, 28)
    >>> layer_cycles(conv, find_target("rk3588"))
    28224.0
    """
    cycles = float(max(npu_cycles(layer, target, dtype), ddr_cycles(layer, target, dtype)))
    further = next_pooling(layer)
    return cycles + (layer_cycles(further, target, dtype) if further else 0.0)


def npu_cycles(layer: LayerShape, target: Target, dtype: str = "int8") -> int:
    """Return those of the arithmetic. Channels count in whole blocks, output pixels in 16s.

    dense      ceil16(pixels) * ceil(Cout / cout) * max(floor, taps * ceil(Cin / cin))
    depthwise  ceil16(pixels) * ceil(C / step) * taps, and so a global average pooling
    one input  ceil16(pixels) * taps, however many outputs

    A transposed convolution works on all its output pixels, with the zeros between its inputs.

    >>> from ...core.graphs.layers import LayerShape
    >>> from .targets import find_target
    >>> npu_cycles(LayerShape("c", "conv", 1, 96, 3, 3, 1, 28, 28, 14, 14), find_target("rk3588"))
    1872
    """
    array = _array(target, dtype)
    taps = layer.kernel_h * layer.kernel_w
    if layer.op in ("depthwise", "pool") or _is_depthwise_transposed(layer):
        blocks = ceil(layer.cout / target.core.depthwise_step)
        return _pixels(layer) * blocks * taps
    if layer.op == "conv" and layer.cin == 1:
        return _pixels(layer) * taps
    cin, cout = layer.cin // layer.groups, layer.cout // layer.groups
    one_group = ceil(cout / array.cout) * max(array.floor, taps * ceil(cin / array.cin))
    return _pixels(layer) * layer.groups * one_group


def ddr_cycles(layer: LayerShape, target: Target, dtype: str = "int8") -> float:
    """Return those of the memory traffic: inputs, output and weights once, in stored blocks.

    The weights of an output channel of a dense layer are stored in such blocks, too.
    """
    size = 1 if dtype == "int8" else 2
    block = target.core.channel_block // size
    # up to four input channels are packed without padding (the first layer of an image model)
    cin = layer.cin if layer.cin <= _PACKED else _up(layer.cin, block)
    features = cin * layer.in_h * layer.in_w + _up(layer.cout, block) * layer.out_h * layer.out_w
    taps, read = layer.kernel_h * layer.kernel_w, layer.cin // layer.groups
    dense = layer.groups == 1
    weights = layer.cout * (_up(taps * max(read, _PACKED), block) if dense else taps * read)
    # what a residual Add inside the layer reads, too: its channels are not padded
    features += layer.adds * layer.cout * layer.out_h * layer.out_w
    moved = size * (features + weights) + _BIAS_BYTES * layer.cout
    return target.ddr_cycles_per_kb * moved / 1024


def _array(target: Target, dtype: str) -> MacArray:
    core = target.core
    wide = core.int16 if dtype == "int16" else None
    array = core.int8 if dtype == "int8" else wide or core.float16
    if array is None:
        raise ValueError(f"{target.name} has no {dtype}")
    return array


def _is_depthwise_transposed(layer: LayerShape) -> bool:
    return layer.op == "convtranspose" and 1 < layer.groups == layer.cin == layer.cout


def _pixels(layer: LayerShape) -> int:
    return _up(layer.out_h * layer.out_w, _PIXELS)


def _up(value: int, step: int) -> int:
    return ceil(value / step) * step
