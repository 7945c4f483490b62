"""Frames a second of several contexts at once, each on a core of its own.

One context does one frame after the other: 1000 over the milliseconds in an application. As many
contexts as the chip has cores do ``_ALL_CORES`` times as many, fewer than the cores because these
share the memory: what others have counted with one and with all (benchmarks/latency/contexts.csv,
contexts_fit.py). Two contexts on three cores are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..chips.targets import Target
from .application import ApplicationTime

Basis = Literal["counted", "interpolated"]

# Frames of all cores over those of one: the median of eleven networks, and of one in two formats.
_ALL_CORES = {"rk3588": 2.88, "rk3576": 1.61}
GAIN_BAND = 1.07  # nine of ten of them are off by less than this factor


@dataclass(frozen=True)
class Throughput:
    """Frames a second with so many contexts, and the interval of nine models in ten.

    ``basis`` says whether others have counted the gain with as many contexts, or with more.
    """

    contexts: int
    fps: float
    low: float
    high: float
    basis: Basis


def throughputs(application: ApplicationTime, target: Target) -> tuple[Throughput, ...]:
    """Return the frames a second with one context, two ... up to the chip's cores.

    With one only, for a chip of several cores whose gain nobody has counted.

    >>> from ..chips.targets import find_target
    >>> for rate in throughputs(ApplicationTime(20.0, 16.0, 25.0), find_target("rk3588")):
    ...     print(rate.contexts, round(rate.fps), rate.basis)
    1 50 counted
    2 97 interpolated
    3 144 counted
    """
    most = target.cores if target.name in _ALL_CORES else 1
    return tuple(_throughput(application, target, contexts) for contexts in range(1, most + 1))


def gain(target: Target, contexts: int) -> float:
    """Return the frames of so many contexts over those of one."""
    if contexts == 1:
        return 1.0
    return 1 + (_ALL_CORES[target.name] - 1) * (contexts - 1) / (target.cores - 1)


def _throughput(application: ApplicationTime, target: Target, contexts: int) -> Throughput:
    frames = 1000 * gain(target, contexts)
    band = 1.0 if contexts == 1 else GAIN_BAND
    low, high = frames / application.high / band, frames / application.low * band
    basis: Basis = "counted" if contexts in (1, target.cores) else "interpolated"
    return Throughput(contexts, frames / application.ms, low, high, basis)
