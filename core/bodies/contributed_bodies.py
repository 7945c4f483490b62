"""Operators that ONNX Runtime's own optimiser writes, taken apart into those it joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .body_builder import BodyBuilder
from .common_bodies import gelu, layer_normalized, rms_normalized, swish, tanh_gelu
from .standard_bodies import BodyRule

# activation -> its settings in ONNX, in the order of activation_params
_ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}


def _fused_conv(body: BodyBuilder) -> Sequence[str] | None:
    params = body.settings.get("activation_params", [])
    result = body.add("Conv", *_present(body, 0, 1, 2), **_own_settings(body))
    if body.input(3):
        result = body.add("Add", result, body.input(3))
    return _activated(body, result, params)


def _fused_gemm(body: BodyBuilder) -> Sequence[str] | None:
    names = [f"activation_{part}" for part in ("alpha", "beta", "gamma")]
    params = [body.settings[name] for name in names if name in body.settings]
    result = body.add("Gemm", *_present(body, 0, 1, 2), **_own_settings(body))
    return _activated(body, result, params)


def _own_settings(body: BodyBuilder) -> dict[str, Any]:
    settings = body.settings.items()
    return {name: value for name, value in settings if not name.startswith("activation")}


def _present(body: BodyBuilder, *positions: int) -> list[str]:
    return [body.input(position) for position in positions if body.input(position)]


def _activated(body: BodyBuilder, x: str, params: Sequence[float]) -> Sequence[str] | None:
    kind = body.settings.get("activation", "")
    if not kind:
        return [x]
    if kind not in _ACTIVATIONS:
        return None
    names = _ACTIVATIONS[kind]
    if kind == "Clip":
        return [body.add("Clip", x, *(body.constant(limit) for limit in params))]
    return [body.add(kind, x, **dict(zip(names, params, strict=False)))]


def _fused_matmul(body: BodyBuilder) -> Sequence[str] | None:
    settings = body.settings
    if settings.get("transBatchA") or settings.get("transBatchB"):
        return None
    sides = [_turned(body, 0, "transA"), _turned(body, 1, "transB")]
    if None in sides:
        return None
    product = body.add("MatMul", *filter(None, sides))
    alpha = settings.get("alpha", 1.0)
    return [product if alpha == 1.0 else body.add("Mul", product, body.constant(alpha))]


def _turned(body: BodyBuilder, position: int, setting: str) -> str | None:
    """One side of a product, its last two axes exchanged where the setting says so."""
    shape = body.shape(position)
    if not body.settings.get(setting):
        return body.input(position)
    if shape is None:
        return None
    axes = list(range(len(shape)))
    return body.add("Transpose", body.input(position), perm=[*axes[:-2], axes[-1], axes[-2]])


def _gelu(body: BodyBuilder) -> Sequence[str]:
    return [gelu(body, _summed(body, 0, 1))]


def _fast_gelu(body: BodyBuilder) -> Sequence[str]:
    return [tanh_gelu(body, _summed(body, 0, 1))]


def _quick_gelu(body: BodyBuilder) -> Sequence[str]:
    return [swish(body, body.input(0), body.settings.get("alpha", 1.702))]


def _skip_layer_normalization(body: BodyBuilder) -> Sequence[str]:
    total = _summed(body, 0, 1, 4)
    return [layer_normalized(body, total, body.input(2), body.input(3), [-1]), "", "", total]


def _skip_rms_normalization(body: BodyBuilder) -> Sequence[str]:
    total = _summed(body, 0, 1, 3)
    return [rms_normalized(body, total, body.input(2), [-1]), "", "", total]


def _summed(body: BodyBuilder, *positions: int) -> str:
    """The sum of those inputs that are given."""
    total, *others = _present(body, *positions)
    for other in others:
        total = body.add("Add", total, other)
    return total


CONTRIBUTED_BODIES: Mapping[str, BodyRule] = {
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": _skip_rms_normalization,
    "TransposeMatMul": _fused_matmul,
}
