"""What each kind of work costs on each chip in milliseconds, fitted in benchmarks/latency.

The compilers of two versions of the toolkit make different layers of one model, so there is a set
of coefficients for the layer tables of each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from packaging.version import InvalidVersion, Version

from ..chips.targets import Target


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the latency estimate in ms (see estimate.py)."""

    compute: float  # ms for each million cycles of arithmetic
    traffic: float  # ms for each million cycles of memory traffic
    activation: float  # ms for each million elements that go through a table or an exponential
    moved: float  # ms for each megabyte moved by layers that the table gives no cycles
    launch: float  # ms for each layer on the NPU
    host: float  # ms for each million elements that the CPU computes
    handover: float  # ms for each layer on the CPU

    def slower(self, by: float, memory: float) -> Coefficients:
        """Return those of an NPU of the same kind: all on it times ``by``, memory times both.

        >>> Coefficients(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0).slower(10.0, 2.0).moved
        80.0
        """
        factors = {
            field.name: by * (memory if field.name in _OF_MEMORY else 1.0)
            for field in fields(self)
            if field.name not in _OF_THE_CPU
        }
        return replace(self, **{name: f * getattr(self, name) for name, f in factors.items()})


_OF_MEMORY = {"traffic", "moved", "broadcast", "read"}
_OF_THE_CPU = {"host", "handover"}
# rv1126b is an rk3576 that is slower by so much, and its memory by so much more, as the few
# programs say that have been timed on it (benchmarks/latency/rv1126b_fit.py)
RV1126B = 1.5, 1.6

# From benchmarks/latency/fit.py: compute, traffic, activation, moved, launch, host, handover
_RK3566 = Coefficients(1.25, 2.12, 1.2, 0.422, 0.0105, 36.2, 0.107)
# by the version of the toolkit from which on its tables are meant
FITTED: dict[str, dict[str, Coefficients]] = {
    "2.5": {
        "rk3588": Coefficients(1.15, 1.93, 0.52, 0.121, 0.0121, 32.0, 0.125),
        "rk3576": Coefficients(1.1, 0.805, 0.374, 0.12, 0.00769, 30.0, 0.1),
        "rk3562": Coefficients(1.16, 1.34, 1.12, 0.248, 0.00929, 30.0, 0.1),
        "rk3566": _RK3566,
        "rk3568": _RK3566,
    },
}


for _fits in FITTED.values():
    _fits["rv1126b"] = _fits["rk3576"].slower(*RV1126B)


def is_fitted(target: Target) -> bool:
    """Return whether there are milliseconds for the chip; cycles there are for all."""
    return coefficients_of(target) is not None


def coefficients_of(target: Target, toolkit: str | None = None) -> Coefficients | None:
    """Return the coefficients for tables of a version of the toolkit; None for a chip with no fit.

    Without a version, or for one that says nothing, those of the newest.

    >>> from ..chips.targets import find_target
    >>> coefficients_of(find_target("rk3562")).compute
    1.16
    """
    return FITTED[_set_of(toolkit)].get(target.name)


def _set_of(toolkit: str | None) -> str:
    ascending = sorted(FITTED, key=Version)
    try:
        version = Version(toolkit or ascending[-1])
    except InvalidVersion:
        return ascending[-1]
    older = [start for start in ascending if Version(start) <= version]
    return older[-1] if older else ascending[0]
