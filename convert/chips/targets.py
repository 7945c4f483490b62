"""The chips of rknn-toolkit2, as a table of data: number formats, arithmetic, memory.

The arithmetic (``MacArray``), the depthwise step and the DDR constant were read off the cycle
columns that the compiler of rknn-toolkit2 2.5.0 prints for single convolutions; they describe the
compiler's own cost model of one NPU core.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.suggestions import meant_word

if TYPE_CHECKING:  # completion asks for the chips, and must not wait for numpy
    from ...core.graphs.sparsity import Axis


@dataclass(frozen=True)
class MacArray:
    """What one cycle covers in one number format: ``cout`` x ``cin`` channels of one tap and pixel.

    A layer takes at least ``floor`` cycles for each pixel and block of output channels.
    """

    cout: int
    cin: int
    floor: int


@dataclass(frozen=True)
class NpuCore:
    """The arithmetic of one core by number format, None for those that it lacks.

    Without ``int16`` the compiler counts it as float16, where there is that. ``depthwise_step``
    are the channels of a depthwise layer in one cycle, ``channel_block`` the bytes of one pixel's
    channels that are stored together. ``buffer_kib`` holds inputs and weights of a convolution: 384
    on RK3588, 256 on RK3568 (from their manual and open drivers), assumed for the others.
    """

    int8: MacArray | None
    float16: MacArray | None
    int16: MacArray | None = None
    depthwise_step: int = 64
    channel_block: int = 16
    buffer_kib: int = 384


@dataclass(frozen=True)
class Target:
    """One chip. ``dtypes`` are the toolkit's names: w8a8, w8a16, w4a16, w16a16i, float16.

    ``sparse`` maps those in which 2:4 sparse weights are recognised to the axes, see
    sparse_layers.py; a mapping has no hash, so equal chips are told by the rest.
    """

    name: str
    dtypes: tuple[str, ...]
    core: NpuCore
    ddr_cycles_per_kb: float
    cores: int = 1
    sparse: Mapping[str, tuple[Axis, ...]] = field(default_factory=dict, hash=False)

    @property
    def mixes_with(self) -> str | None:
        """The 16-bit type that single layers of an int8 model may have: float16, int16 or None.

        Both take the same cycles where a chip has both. For float16 the rest keeps the integers
        that were chosen for its weights (see fallbacks.py), so that is preferred.
        """
        if self.core.int8 is None:
            return None
        return "float16" if self.core.float16 else ("int16" if self.core.int16 else None)

    @property
    def wide_in_qdq(self) -> str | None:
        """The type of 16 bits that a QDQ model can have beside int8: float16 or None.

        What joined outputs are left in where only speed counts, which int16 needs another way for.
        """
        return self.mixes_with if self.mixes_with == "float16" else None

    @property
    def int8_macs_per_cycle(self) -> int:
        """Of one core; 0 where the chip has no int8."""
        return self.core.int8.cout * self.core.int8.cin if self.core.int8 else 0

    @property
    def cout_step(self) -> int:
        """The number of output channels of a dense int8 layer at which it gets faster."""
        array = self.core.int8 or self.core.float16
        assert array is not None, f"{self.name} has no number format"
        return array.cout


# int8 and float16 first
_WIDE = NpuCore(MacArray(32, 32, 4), MacArray(16, 32, 2))
_MIDDLE = NpuCore(MacArray(16, 32, 4), MacArray(8, 32, 2))
_NARROW = NpuCore(
    MacArray(16, 32, 4), MacArray(8, 16, 2), depthwise_step=32, channel_block=8, buffer_kib=256
)
_INTEGER = NpuCore(MacArray(16, 32, 4), None, int16=MacArray(16, 16, 4), depthwise_step=32)
_SMALL = NpuCore(MacArray(8, 16, 4), None, depthwise_step=16, channel_block=8)
_AUDIO = NpuCore(None, MacArray(8, 4, 4), depthwise_step=16)

# name, number formats, one core, cycles of memory traffic for each kilobyte
TARGETS: tuple[Target, ...] = (
    Target("rk3588", ("w8a8", "float16"), _WIDE, 43.3, cores=3),
    Target(
        "rk3576",
        ("w8a8", "w4a16", "float16"),
        _WIDE,
        137.2,
        cores=2,
        sparse={"w8a8": ("output", "input"), "float16": ("output",)},
    ),
    Target("rk3562", ("w8a8", "w8a16", "float16"), _MIDDLE, 137.2),
    Target("rk3566", ("w8a8", "float16"), _NARROW, 155.85),
    Target("rk3568", ("w8a8", "float16"), _NARROW, 155.85),
    Target("rv1103", ("w8a8", "w16a16i"), _INTEGER, 166.25),
    Target("rv1103b", ("w8a8",), _SMALL, 136.95),
    Target("rv1106", ("w8a8", "w16a16i"), _INTEGER, 166.25),
    Target("rv1106b", ("w8a8",), _SMALL, 136.95),
    Target(
        "rv1126b",
        ("w8a8", "w4a16", "float16"),
        _WIDE,
        137.2,
        sparse={"w8a8": ("output",), "float16": ("output",)},
    ),
    Target("rk2118", ("float16",), _AUDIO, 136.95),
)
# of one NPU: whether one takes a file of the other, its runtime says
_ALIKE = ({"rk3566", "rk3568"}, {"rv1103", "rv1106"}, {"rv1103b", "rv1106b"})
TARGET_NAMES: tuple[str, ...] = tuple(target.name for target in TARGETS)


def require_dtype(target: Target, dtype: str, instead: str = "") -> None:
    """Raise OptionError for a number format that the chip lacks.

    Its hint says what to do ``instead``, by default which chips have it.
    """
    if dtype not in target.dtypes:
        others = ", ".join(other.name for other in TARGETS if dtype in other.dtypes)
        choose = f"or choose with {option('target')} one of those that have it: {others}"
        raise OptionError(
            f"{target.name} has no {dtype}",
            f"it has: {', '.join(target.dtypes)}; {instead or choose}",
        )


def find_target(name: str) -> Target:
    """Return the target of that name, in upper or lower case. Raises OptionError when unknown.

    >>> find_target("RK3588").int8_macs_per_cycle
    1024
    """
    for target in TARGETS:
        if target.name == name.strip().lower():
            return target
    raise OptionError(f"unknown target {name!r}", _meant_targets(name))


def runs_on(target: Target, chip: str) -> bool:
    """Return whether a chip, as a device tree names it, may run what is built for a target.

    True for a chip that nobody knows here.

    >>> rk3568 = find_target("rk3568")
    >>> [runs_on(rk3568, chip) for chip in ("rk3568b2", "rk3566", "rk3588s")]
    [True, True, False]
    """
    begins = [name for name in TARGET_NAMES if chip.lower().startswith(name)]
    if not begins:
        return True
    name = max(begins, key=len)
    return name == target.name or any({name, target.name} <= pair for pair in _ALIKE)


def _meant_targets(text: str) -> str:
    """Return the hint: several names in one, all of them, or the one that is written alike."""
    known = f"known targets: {', '.join(TARGET_NAMES)}"
    parts = [part for part in re.split(r"[\s,;+]+", text.lower()) if part]
    if len(parts) > 1 and set(parts) <= set(TARGET_NAMES):
        return f"give each by itself: {option('target', parts)}"
    if text.lower() == "all":
        return f"name those that you build for; {known}"
    close = meant_word(text, TARGET_NAMES)
    return f"did you mean {option('target', close)}? {known}" if close else known
