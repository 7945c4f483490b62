"""What each kind of work costs on each chip in milliseconds, fitted in benchmarks/latency.

The compilers of two versions of the toolkit make different layers of one model, so there is a set
of coefficients for the layer tables of each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..chips.targets import Target


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the latency estimate in ms (see estimate.py)."""

    compute: float  # for each million cycles of arithmetic
    output: float  # for each million elements that a convolution or a matrix product writes
    activation: float  # for each million elements that go through a table or an exponential
    moved: float  # for each megabyte moved by layers that the table gives no cycles
    broadcast: float  # the same of products and sums of two tensors of different shapes
    read: float  # for each megabyte that a convolution or a matrix product reads
    scores: float  # for each million scores of attention
    launch: float  # for each layer on the NPU
    host: float  # for each million elements that the CPU computes
    handover: float  # for each time that the CPU hands the work back to the NPU

    def slower(self, by: float, memory: float) -> Coefficients:
        """Return those of an NPU of the same kind: all on it times ``by``, memory times both.

        >>> Coefficients(*10 * (1.0,)).slower(10.0, 2.0).moved
        20.0
        """
        factors = {
            field.name: by * (memory if field.name in _OF_MEMORY else 1.0)
            for field in fields(self)
            if field.name not in _OF_THE_CPU
        }
        return replace(self, **{name: f * getattr(self, name) for name, f in factors.items()})


_OF_MEMORY = {"moved", "broadcast", "read"}
_OF_THE_CPU = {"host", "handover"}
# rv1126b is an rk3576 that is slower by so much, and its memory by so much more, as the few
# programs say that have been timed on it (benchmarks/latency/rv1126b_fit.py)
RV1126B = 1.56, 1.63

# From benchmarks/latency/fit.py, in the order above.
_OF_2_3 = {
    "rk3588": Coefficients(
        0.9643, 0.145, 0.5081, 0.08748, 0.1541, 0.04849, 3.525, 0.007779, 44.25, 0.3659
    ),
    "rk3576": Coefficients(
        0.9973, 0.1241, 0.3275, 0.08684, 0.1257, 0.05234, 3.322, 0.005266, 40.91, 0.2921
    ),
    "rk3562": Coefficients(
        1.024, 0.2537, 1.053, 0.1826, 0.2745, 0.09087, 6.756, 0.005375, 40.91, 0.2921
    ),
    "rk3566": Coefficients(
        1.071, 0.3159, 1.019, 0.3057, 0.465, 0.187, 7.567, 0.006677, 42.7, 0.3024
    ),
}
_OF_2_5 = {
    "rk3588": Coefficients(
        0.9677, 0.1515, 0.514, 0.08813, 0.1547, 0.04788, 3.561, 0.006575, 46.85, 0.4312
    ),
    "rk3576": Coefficients(
        0.9996, 0.1258, 0.3345, 0.08842, 0.1266, 0.05229, 3.361, 0.004709, 42.63, 0.2795
    ),
    "rk3562": Coefficients(
        1.026, 0.2572, 1.072, 0.182, 0.2721, 0.09027, 6.817, 0.004567, 42.63, 0.2795
    ),
    "rk3566": Coefficients(
        1.073, 0.3205, 1.043, 0.32, 0.4721, 0.1837, 7.636, 0.006012, 44.49, 0.2311
    ),
}
# by the version of the toolkit from which on its tables are meant
FITTED: dict[str, dict[str, Coefficients]] = {
    start: {**fits, "rk3568": fits["rk3566"]}
    for start, fits in (("2.3", _OF_2_3), ("2.5", _OF_2_5))
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
    >>> coefficients_of(find_target("rv1106")) is None
    True
    """
    return FITTED[_set_of(toolkit)].get(target.name)


def _set_of(toolkit: str | None) -> str:
    from packaging.version import InvalidVersion, Version  # many a command estimates nothing

    ascending = sorted(FITTED, key=Version)
    try:
        version = Version(toolkit or ascending[-1])
    except InvalidVersion:
        return ascending[-1]
    older = [start for start in ascending if Version(start) <= version]
    return older[-1] if older else ascending[0]
