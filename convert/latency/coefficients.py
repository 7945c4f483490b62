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
        0.9924, 0.1459, 0.5116, 0.08814, 0.1553, 0.04769, 3.529, 0.007557, 45.38, 0.3762
    ),
    "rk3576": Coefficients(
        1.035, 0.1257, 0.3275, 0.08822, 0.1272, 0.04955, 3.328, 0.005274, 41.6, 0.2991
    ),
    "rk3562": Coefficients(
        1.059, 0.2609, 1.052, 0.1864, 0.279, 0.08646, 6.77, 0.005457, 41.6, 0.2991
    ),
    "rk3566": Coefficients(
        1.182, 0.3129, 1.033, 0.3065, 0.4591, 0.179, 7.579, 0.006246, 43.34, 0.3114
    ),
}
_OF_2_5 = {
    "rk3588": Coefficients(
        0.9876, 0.1512, 0.515, 0.08853, 0.1551, 0.04791, 3.566, 0.006558, 48.34, 0.4508
    ),
    "rk3576": Coefficients(
        1.035, 0.1274, 0.3335, 0.09005, 0.1278, 0.04976, 3.367, 0.004876, 43.52, 0.2857
    ),
    "rk3562": Coefficients(
        1.058, 0.2678, 1.07, 0.1863, 0.2764, 0.08666, 6.832, 0.004801, 43.52, 0.2857
    ),
    "rk3566": Coefficients(
        1.172, 0.3139, 1.052, 0.3216, 0.4664, 0.1794, 7.649, 0.005726, 45.31, 0.2328
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
    ascending = sorted(FITTED, key=Version)
    try:
        version = Version(toolkit or ascending[-1])
    except InvalidVersion:
        return ascending[-1]
    older = [start for start in ascending if Version(start) <= version]
    return older[-1] if older else ascending[0]
