"""What a conversion is asked for: one value, built once, which a cache key follows from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from ..core.graphs.model import model_digest
from .chips.targets import find_target
from .handover import Channels, DigestedSamples, Sample
from .toolkit.environment import toolkit_version
from .toolkit.job import ToolkitPlan
from .toolkit.outcome import Limits


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

    ``float_model`` is what a QDQ model was made from, and ``plan`` its ranges: should the toolkit
    fail on the QDQ one, or compute something else, the float one is quantized by the toolkit, with
    those ranges or its own, and a warning says so. To see that, a few samples are simulated in any
    case, unless ``probe`` is False. With a ``level`` (of the toolkit's optimisation) that level
    alone is taken, and nothing else is tried. ``sparse`` says whether to leave out the zeros of 2:4
    sparse weights; by default where the chip can and the model has such weights.
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
    sparse: bool | None = None
    probe: bool = True
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
        rest = [field.name for field in fields(self) if field.name not in special]
        return {**special, **{name: _content(getattr(self, name)) for name in rest}}


def _content(value: Any) -> Any:
    if isinstance(value, DigestedSamples):
        return value.digest()
    if isinstance(value, Path):
        return model_digest(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
