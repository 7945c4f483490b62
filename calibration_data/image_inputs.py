"""What happens to images for a model's input: size, channels and layout are what its shape says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.diagnostics import option
from ..core.errors import OptionError, SamplesError
from ..core.types import Shape
from .preprocess import Preprocess
from .preprocessing import Color, Layout, Preprocessing


def preprocess_for(
    inputs: Mapping[str, Shape], path: Path, preprocessing: Preprocessing
) -> Preprocess:
    """Return the preprocess of images for a model with one image input; messages name ``path``.

    Size, channels and layout come from the input's shape. A ``layout`` decides where the shape
    fits both, and else says that the values are in another order than the shape has it; ``color``
    None means gray for one channel and rgb for three. Raises SamplesError or OptionError.
    """
    size, channels, shaped = _image_input(inputs, path, preprocessing.layout)
    return Preprocess(
        size=size,
        resize=preprocessing.resize,
        pad=preprocessing.pad,
        color=_color(preprocessing.color, channels),
        mean=preprocessing.mean,
        std=preprocessing.std,
        layout=preprocessing.layout or shaped,
    )


def _image_input(
    inputs: Mapping[str, Shape], path: Path, layout: Layout | None
) -> tuple[tuple[int, int], int, Layout]:
    """Return size, channels and layout of the model's only input."""
    if len(inputs) != 1:
        raise SamplesError(
            f"{path}: images for a model with {len(inputs)} inputs: {', '.join(inputs)}",
            "give an .npz with an array of floats for each input, under the input's name; of a "
            "stream the frames alone, as the model gives its states",
        )
    name, shape = next(iter(inputs.items()))
    single = len(shape) == 4 and shape[0] == 1
    last = single and shape[3] in (1, 3)
    if single and shape[1] in (1, 3) and not (last and layout == "nhwc"):
        return (shape[2], shape[3]), shape[1], "nchw"
    if last:
        return (shape[1], shape[2]), shape[3], "nhwc"
    if len(shape) == 4 and shape[0] > 1:
        raise SamplesError(
            f"{path}: the input {name!r} of shape {shape} takes a batch of {shape[0]} images",
            "leave the preprocess options out, as its .rknn takes prepared values, or export the "
            "model "
            "with a batch of 1 or a free one",
        )
    raise SamplesError(
        f"{path}: images do not fit the input {name!r} of shape {shape}",
        "image inputs are (1, C, H, W) or (1, H, W, C) with 1 or 3 channels; "
        "give other inputs float arrays in a .npy or .npz",
    )


def _color(color: Color | None, channels: int) -> Color:
    if color is None:
        return "gray" if channels == 1 else "rgb"
    if (color == "gray") != (channels == 1):
        raise OptionError(
            f"{option('color', color)} does not fit the model's {channels} input channel(s)",
            "use gray for one channel, rgb or bgr for three",
        )
    return color
