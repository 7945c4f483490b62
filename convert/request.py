"""What a conversion is asked for, which a cache key follows from, and the quantization it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model import is_qdq, model_digest
from ..core.types import Shape
from .chips.targets import Target, find_target, require_dtype
from .foreign_quantization import require_standard_quantizers
from .handover import Channels, DigestedSamples, Sample
from .toolkit.environment import toolkit_version
from .toolkit.failures import Limits
from .toolkit.job import ToolkitPlan

QUANTIZERS = ("normal", "kl_divergence", "mmse", "gdq")
_QUANTIZATIONS = ("auto", "float16", "qdq", "hybrid", *QUANTIZERS)
# the option that asks for it, where it is not the toolkit's own quantization
_ASKED_BY = {"float16": "scheme", "qdq": "route", "hybrid": "route"}
_GDQ_DTYPES = ("w4a16", "w8a16")


@dataclass(frozen=True)
class ToolkitSettings:
    """How the toolkit is run; none of it but the ``python`` that has it changes a result.

    ``timeout`` (seconds) and ``memory_limit_gb`` (of address space) hold for each attempt to
    build. ``python`` is the toolkit's interpreter, by default this one. Up to ``processes``
    processes simulate.
    """

    python: Path | None = None
    timeout: float = 1800
    memory_limit_gb: float = 12
    processes: int = 1

    @property
    def limits(self) -> Limits:
        """Those of one job of the child process."""
        return Limits(self.timeout, self.memory_limit_gb)


@dataclass(frozen=True)
class ConversionRequest:
    """Convert ``model`` to ``output`` (nothing is kept when None) for the chip ``target``.

    ``quantization`` is auto (a QDQ model as it says, any other in float16), float16, qdq, hybrid
    (with the ranges of ``plan``), or one of the toolkit's own quantizers, which need
    ``calibration`` and make ``dtype``. With ``mean`` and ``std`` (0..255 scale) the ``.rknn`` takes
    pixels, and samples are (1, H, W, C) uint8; without, samples are in the model's own shape and
    type. The samples of ``simulate`` are run in the simulator, None for no outputs.

    ``float_model`` is what a QDQ model was made from, by default what is inside it. Should the
    toolkit fail on the QDQ one, or compute something else, the float one is quantized by the
    toolkit with ``calibration``, in the ranges of the QDQ one, or those of its own where the float
    model was given; a warning says so. To see that, a few samples are simulated in any
    case, unless ``probe`` is False. With a ``level`` (of the toolkit's optimisation) that level
    alone is taken, without the rules of that optimisation that are ``disabled``, and nothing else
    is tried. ``sparse`` says whether to leave out the zeros of 2:4 sparse weights; by default where
    the chip can and the model has such weights. The ``.rknn`` takes ``rknn_batch_size`` samples
    together, of a model that takes one.
    With ``input_sets`` it takes each of these shapes of its inputs, the largest first, which is
    that of the model and of all samples; the hybrid way cannot.
    ``config`` is handed on to the toolkit as it is.
    """

    model: Path
    output: Path | None
    target: str
    quantization: str = "auto"
    dtype: str | None = None
    mean: Channels | Mapping[str, Channels] | None = None
    std: Channels | Mapping[str, Channels] | None = None
    calibration: Iterable[Sample] = ()
    simulate: Iterable[Sample] | None = None
    float_model: Path | None = None
    plan: ToolkitPlan | None = None
    level: int | None = None
    disabled: tuple[str, ...] = ()
    sparse: bool | None = None
    rknn_batch_size: int = 1
    input_sets: tuple[Mapping[str, Shape], ...] = ()
    probe: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)
    toolkit: ToolkitSettings = ToolkitSettings()

    def key(self) -> dict[str, Any]:
        """Return all that the result depends on as JSON values: every field, by its content.

        Of ``output`` that is whether there is one, of ``toolkit`` its version and interpreter.
        Samples that are no DigestedSamples have none, so a key with them is no JSON. Raises
        RockpressError when a file cannot be read.
        """
        python = self.toolkit.python
        special = {
            "output": self.output is not None,
            "target": find_target(self.target).name,
            "toolkit": [toolkit_version(python), str(python)],
        }
        rest = [part.name for part in fields(self) if part.name not in special]
        return {**special, **{name: _content(getattr(self, name)) for name in rest}}


def _content(value: Any) -> Any:
    if isinstance(value, DigestedSamples):
        return value.digest()
    if isinstance(value, Path):
        return model_digest(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


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
    if quantized:
        require_standard_quantizers(model, target)
    chosen = ("qdq" if quantized else "float16") if asked == "auto" else asked
    if quantized and chosen not in ("qdq", "hybrid"):
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
    require_dtype(target, dtype)
    if chosen == "gdq" and dtype not in _GDQ_DTYPES:
        raise OptionError(f"gdq cannot make {dtype}", f"it makes: {', '.join(_GDQ_DTYPES)}")
    return dtype
