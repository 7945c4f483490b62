"""Which way a model is quantized: what was asked for, checked against the model and the chip."""

from __future__ import annotations

from onnx import ModelProto

from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model import is_qdq
from .chips.targets import Target

QUANTIZERS = ("normal", "kl_divergence", "mmse", "gdq")
_QUANTIZATIONS = ("auto", "float16", "qdq", "hybrid", *QUANTIZERS)
# the option that asks for it, where it is not the toolkit's own quantization
_ASKED_BY = {"float16": "scheme", "qdq": "route", "hybrid": "route"}
_GDQ_DTYPES = ("w4a16", "w8a16")


def choose_quantization(
    model: ModelProto, asked: str, dtype: str | None, target: Target
) -> tuple[str, str]:
    """Return how (qdq, float16, hybrid or one of QUANTIZERS) and to which type of the chip.

    ``dtype`` None means w8a8, or for gdq the first of its types that the chip has. Raises
    OptionError when what was asked for fits neither model nor chip.
    """
    if asked not in _QUANTIZATIONS:
        raise OptionError(f"unknown quantization {asked!r}", f"one of: {', '.join(_QUANTIZATIONS)}")
    quantized = is_qdq(model)
    if quantized and any(node.domain == "com.microsoft" for node in model.graph.node):
        raise OptionError(
            "the model is quantized with activations of 16 bits, or otherwise in operators of ONNX "
            "Runtime's own, which the toolkit cannot read",
            f"give the float model; for w8a16 with {option('toolkit-quantizer', 'normal')} "
            f"{option('scheme', 'w8a16')}",
        )
    chosen = ("qdq" if quantized else "float16") if asked == "auto" else asked
    if quantized and chosen != "qdq":
        raise OptionError(
            f"the model is quantized already (QDQ), so it cannot be converted as {chosen}",
            f"give the float model, or leave {option(_ASKED_BY.get(chosen, 'toolkit-quantizer'))} "
            "out",
        )
    if chosen == "qdq" and not quantized:
        raise OptionError(
            "the model holds no QuantizeLinear nodes, so it cannot be converted as qdq",
            f"quantize it first, or leave {option('route')} out",
        )
    return chosen, _dtype(chosen, dtype, target)


def _dtype(chosen: str, asked: str | None, target: Target) -> str:
    dtype = {"float16": "float16", "qdq": "w8a8"}.get(chosen, asked)
    if dtype is None and chosen == "gdq":
        dtype = next((name for name in _GDQ_DTYPES if name in target.dtypes), _GDQ_DTYPES[0])
    dtype = dtype or "w8a8"
    if dtype not in target.dtypes:
        raise OptionError(f"{target.name} has no {dtype}", f"it has: {', '.join(target.dtypes)}")
    if chosen == "gdq" and dtype not in _GDQ_DTYPES:
        raise OptionError(f"gdq cannot make {dtype}", f"it makes: {', '.join(_GDQ_DTYPES)}")
    return dtype
