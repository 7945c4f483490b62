"""How to feed a model on the board, and what it gives, in lines."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.layer_rows import FeedInput, FeedOutput

_NAMED = 10  # classes that a line names


def input_text(feed: FeedInput) -> str:
    """Return an input as the application hands it over, and what is inside already.

    >>> shape, mean, std = (1, 8, 8, 1), (73.0,), (90.0,)
    >>> pixels = FeedInput("x", "uint8", "NHWC", shape, "gray", mean, std, "fit", (73,))
    >>> input_text(pixels)
    'x 1x8x8x1 uint8 NHWC gray resize fit pad 73 mean 73 and std 90 inside'
    """
    parts = [feed.name, shape_text(feed.shape), feed.dtype, feed.layout, feed.color]
    if feed.resize:
        parts.append(f"resize {feed.resize}")
    if feed.pad:
        parts.append(f"pad {numbers_text(feed.pad[:1] if len(set(feed.pad)) == 1 else feed.pad)}")
    if feed.mean:
        parts.append(f"mean {numbers_text(feed.mean)} and std {numbers_text(feed.std)} inside")
    return " ".join(part for part in parts if part)


def output_text(output: FeedOutput) -> str:
    """Return an output, and how its values are read where they are integers.

    >>> output_text(FeedOutput("y", (1, 10), "int8", 0.125, 3))
    'y 1x10 int8, scale 0.125, zero point 3'
    """
    text = f"{output.name} {shape_text(output.shape)} {output.dtype}"
    if output.scale:
        text += f", scale {output.scale:.6g}, zero point {output.zero_point}"
    return text


def classes_text(classes: Sequence[str]) -> str:
    """Return the first classes by name, and how many more there are.

    >>> classes_text(["cat", "dog"])
    'classes: 0 cat, 1 dog'
    """
    named = ", ".join(f"{index} {name}" for index, name in enumerate(classes[:_NAMED]))
    more = len(classes) - _NAMED
    return f"classes: {named}" + (f" and {more} more" if more > 0 else "")


def shape_text(shape: Sequence[int | None] | None) -> str:
    """Return a shape as it is typed, ? where a length is open, or nothing is known.

    >>> shape_text((1, 3, None)), shape_text(()), shape_text(None)
    ('1x3x?', 'scalar', '?')
    """
    if shape is None:
        return "?"
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"


def numbers_text(values: Sequence[float] | None) -> str:
    """Return numbers as an option takes them.

    >>> numbers_text((123.675, 116.0))
    '123.675,116'
    """
    return ",".join(f"{value:g}" for value in values or ())
