"""Parts that several bodies are made of."""

from __future__ import annotations

from collections.abc import Sequence

from .body_builder import BodyBuilder

_FIRST_LAYER_NORMALIZATION = 17


def gelu(body: BodyBuilder, x: str) -> str:
    """Add x * P(X <= x) of a normal X (arXiv 1606.08415), in the order that compilers look for."""
    scaled = body.add("Div", x, body.constant(2**0.5))
    raised = body.add("Add", body.add("Erf", scaled), body.constant(1.0))
    return body.add("Mul", body.add("Mul", x, raised), body.constant(0.5))


def tanh_gelu(body: BodyBuilder, x: str) -> str:
    """Add the approximation of a GELU by a tanh (arXiv 1606.08415)."""
    cube = body.add("Mul", body.add("Mul", x, x), x)
    bent = body.add("Add", x, body.add("Mul", cube, body.constant(0.044715)))
    tanh = body.add("Tanh", body.add("Mul", bent, body.constant(0.7978845608028654)))
    raised = body.add("Add", tanh, body.constant(1.0))
    return body.add("Mul", body.add("Mul", x, raised), body.constant(0.5))


def swish(body: BodyBuilder, x: str, alpha: float) -> str:
    """Add x * sigmoid(alpha * x)."""
    scaled = x if alpha == 1.0 else body.add("Mul", x, body.constant(alpha))
    return body.add("Mul", x, body.add("Sigmoid", scaled))


def rms_normalized(body: BodyBuilder, x: str, scale: str, axes: Sequence[int]) -> str:
    """Add x by the root of its mean square, times a scale (arXiv 1910.07467)."""
    return body.add("Mul", _by_root_mean_square(body, x, axes), scale)


def layer_normalized(body: BodyBuilder, x: str, scale: str, bias: str, axes: Sequence[int]) -> str:
    """Add a layer normalization (arXiv 1607.06450), of one operator where the opset has it."""
    if body.facts.opset >= _FIRST_LAYER_NORMALIZATION:
        inputs = (x, scale, bias) if bias else (x, scale)
        settings = {"axis": axes[0], "epsilon": _epsilon(body)}
        return body.add("LayerNormalization", *inputs, **settings)
    centred = body.add("Sub", x, body.add_along("ReduceMean", x, axes))
    scaled = rms_normalized(body, centred, scale, axes)
    return body.add("Add", scaled, bias) if bias else scaled


def layer_moments(
    body: BodyBuilder, x: str, scale: str, bias: str, axes: Sequence[int]
) -> list[str]:
    """Add a layer normalization, and return the mean and one by the deviation behind it."""
    mean = body.add_along("ReduceMean", x, axes)
    centred = body.add("Sub", x, mean)
    variance = body.add_along("ReduceMean", body.add("Mul", centred, centred), axes)
    root = body.add("Sqrt", body.add("Add", variance, body.constant(_epsilon(body))))
    # not times its reciprocal, which runs on the CPU
    scaled = body.add("Mul", body.add("Div", centred, root), scale)
    normalized = body.add("Add", scaled, bias) if bias else scaled
    is_read = any(body.node.output[2:])
    return [normalized, mean, body.add("Reciprocal", root) if is_read else ""]


def _by_root_mean_square(body: BodyBuilder, x: str, axes: Sequence[int]) -> str:
    mean = body.add_along("ReduceMean", body.add("Pow", x, body.constant(2.0)), axes)
    root = body.add("Sqrt", body.add("Add", mean, body.constant(_epsilon(body))))
    return body.add("Div", x, root)


def _epsilon(body: BodyBuilder) -> float:
    return float(body.settings.get("epsilon", 1e-5))
