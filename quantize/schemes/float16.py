"""Nothing is quantized: weights and activations stay in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.diagnostics import option
from ...core.errors import OptionError
from ..choices.names import scheme_names
from . import Candidates, Handover, Scheme, find_scheme

if TYPE_CHECKING:
    from ..rendering.plan import Plan
    from ..statistics.tensor_statistics import Calibration


class Float16(Scheme):
    """Layers multiply in float16."""

    def candidates(self, task: Calibration) -> Candidates:
        """Raise OptionError."""
        raise _quantizes_nothing()

    def handover(self, plan: Plan) -> Handover:
        """Raise OptionError: a plan of a quantized model cannot be of this format."""
        raise _quantizes_nothing()

    def described(self, weights: str, activations: str) -> str:
        """Return that nothing is."""
        return "nothing"


def _quantizes_nothing() -> OptionError:
    others = [name for name in scheme_names() if find_scheme(name).quantizes]
    return OptionError(
        f"{option('scheme', 'float16')} quantizes nothing", f"choose one of: {', '.join(others)}"
    )


SCHEME = Float16()
