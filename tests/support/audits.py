"""Small models to audit, and what the audit says of them."""

from __future__ import annotations

import re

from onnx import ModelProto

from graphs import Weights, model_of, random_weights
from rockpress.convert.audit.model_audit import audit
from rockpress.convert.chips.targets import find_target
from rockpress.core.diagnostics import Diagnostic

CONV_WEIGHT = random_weights({"w": (8, 8, 1, 1)}, scale=1)


def model_from_x(
    nodes: str,
    outputs: str = "y",
    *,
    opset: int = 13,
    shape: str = "1,8,20,20",
    weights: Weights = CONV_WEIGHT,
) -> ModelProto:
    """Return a model that computes outputs, whose types are inferred, from x.

    It has those of the weights that its nodes read.
    """
    words = set(re.findall(r"\w+", nodes))
    return model_of(
        f"(float[{shape}] x) => ({', '.join(outputs.split())}) {nodes}",
        {name: value for name, value in weights.items() if name in words},
        opset=opset,
        prepared=False,
    )


def audit_codes(
    model: ModelProto, quantization: str = "normal", target: str = "rk3588"
) -> list[str]:
    """Return the codes of the warnings that need no samples."""
    warnings = audit(model, find_target(target), quantization=quantization)
    return [warning.code for warning in warnings]


def only(warnings: tuple[Diagnostic, ...]) -> Diagnostic:
    """Return the one warning that there is."""
    (warning,) = warnings
    return warning
