"""Nothing is quantized: weights and activations stay in float16."""

from . import Scheme


class Float16(Scheme):
    """Layers multiply in float16."""


SCHEME = Float16()
